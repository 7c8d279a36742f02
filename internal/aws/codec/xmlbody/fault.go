// SPDX-License-Identifier: Apache-2.0

package xmlbody

import "github.com/posternhq/postern/internal/aws/codec"

// RemoteError reads an error answer of any of the XML protocols: EC2 wraps
// <Error> in <Response><Errors>, the others in <ErrorResponse>.
func RemoteError(r *codec.Response) *codec.RemoteError {
	out := &codec.RemoteError{Status: r.Status, Code: "Unknown", RequestID: r.Header.Get(codec.RequestIDHeader)}
	root, err := Parse(r.Body)
	if err != nil {
		out.Message = "the answer is not XML"
		return out
	}
	detail := root.Child("Error")
	if errors := root.Child("Errors"); errors != nil {
		detail = errors.Child("Error")
	}
	if code := detail.ChildText("Code"); code != "" {
		out.Code = code
	}
	out.Message = detail.ChildText("Message")
	for _, name := range []string{"RequestId", "RequestID"} {
		if id := root.ChildText(name); id != "" {
			out.RequestID = id
		}
	}
	return out
}
