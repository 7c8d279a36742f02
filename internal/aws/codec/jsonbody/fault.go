// SPDX-License-Identifier: Apache-2.0

package jsonbody

import (
	"encoding/json"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
)

// RemoteError reads an error answer: the code is in a header or in the body,
// with a namespace before # or a URL after a colon that do not belong to it.
func RemoteError(r *codec.Response) *codec.RemoteError {
	out := &codec.RemoteError{Status: r.Status, RequestID: r.Header.Get(codec.RequestIDHeader), Fields: map[string]string{}}
	var body map[string]any
	if err := json.Unmarshal(r.Body, &body); err != nil {
		out.Message = "the answer is not JSON"
	}
	for name, value := range body {
		text, isText := value.(string)
		switch {
		case !isText:
		case name == "message" || name == "Message":
			out.Message = text
		case name == "__type" || name == "code":
			out.Code = text
		default:
			out.Fields[name] = text
		}
	}
	if code := r.Header.Get("X-Amzn-Errortype"); code != "" {
		out.Code = code
	}
	if _, after, found := strings.Cut(out.Code, "#"); found {
		out.Code = after
	}
	out.Code, _, _ = strings.Cut(out.Code, ":")
	if out.Code == "" {
		out.Code = "Unknown"
	}
	return out
}
