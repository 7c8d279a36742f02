// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The wire protocols, under the names of the AWS service models.
const (
	ProtocolEC2      = "ec2"
	ProtocolQuery    = "query"
	ProtocolRESTJSON = "rest-json"
	ProtocolRESTXML  = "rest-xml"
	ProtocolJSON10   = "json1.0"
	ProtocolJSON11   = "json1.1"
	ProtocolCBOR     = "smithy-rpc-v2-cbor"
	// ProtocolS3 is REST-XML with the errors of S3, which have no envelope.
	ProtocolS3 = "s3"
)

// Render writes e as the given protocol has it on the wire: the HTTP status, the
// headers that belong to the error, and the body. The namespace is that of the
// service's XML; it may be empty. An unknown protocol is rendered as JSON, and
// the cause is never shown.
func Render(protocol, namespace string, e *Error, requestID string) (status int, header http.Header, body []byte) {
	header = http.Header{}
	if seconds := (e.RetryAfter + time.Second - 1) / time.Second; seconds > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	switch protocol {
	case ProtocolEC2:
		header.Set("Content-Type", "text/xml;charset=UTF-8")
		body = renderEC2(e, requestID)
	case ProtocolQuery, ProtocolRESTXML:
		header.Set("Content-Type", "text/xml")
		body = renderXML(namespace, e, requestID, protocol == ProtocolRESTXML)
	case ProtocolS3:
		header.Set("Content-Type", "application/xml")
		body = renderS3(e, requestID)
	case ProtocolJSON10, ProtocolJSON11:
		header.Set("Content-Type", "application/x-amz-json-"+strings.TrimPrefix(protocol, "json"))
		body = renderTypedJSON(e)
	case ProtocolCBOR:
		header.Set("Content-Type", "application/cbor")
		header.Set("Smithy-Protocol", "rpc-v2-cbor")
		body = renderCBOR(e)
	default:
		header.Set("Content-Type", "application/json")
		header.Set("X-Amzn-ErrorType", headerSafe(e.Code))
		body = renderJSON(e)
	}
	return e.HTTPStatus(), header, body
}

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// renderS3 writes the error as the root element
// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
func renderS3(e *Error, requestID string) []byte {
	var b bytes.Buffer
	b.WriteString(xmlHeader + "<Error>")
	element(&b, "Code", e.Code)
	element(&b, "Message", e.Message)
	element(&b, "RequestId", requestID)
	b.WriteString("</Error>")
	return b.Bytes()
}

// renderTypedJSON writes the body of AWS JSON, which names the error itself.
func renderTypedJSON(e *Error) []byte {
	body := map[string]string{"__type": e.Code, "message": e.Message}
	for name, value := range e.Fields {
		body[name] = value
	}
	// Maps of strings always marshal; what is not UTF-8 is replaced.
	b, _ := json.Marshal(body)
	return b
}

// renderCBOR writes the same as a map of two texts (RFC 8949).
func renderCBOR(e *Error) []byte {
	const mapOfTwo = 0xa2
	b := []byte{mapOfTwo}
	for _, text := range []string{"__type", e.Code, "message", e.Message} {
		b = appendText(b, strings.ToValidUTF8(text, "\uFFFD"))
	}
	return b
}

// appendText appends a text string with its length in the shortest form.
func appendText(b []byte, text string) []byte {
	const textString, oneByte, twoBytes, fourBytes = 3 << 5, 24, 25, 26
	switch n := len(text); {
	case n < oneByte:
		b = append(b, textString|byte(n))
	case n <= math.MaxUint8:
		b = append(b, textString|oneByte, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, textString|twoBytes), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, textString|fourBytes), uint32(n))
	}
	return append(b, text...)
}

func renderEC2(e *Error, requestID string) []byte {
	var b bytes.Buffer
	b.WriteString(xmlHeader + "<Response><Errors><Error>")
	element(&b, "Code", e.Code)
	element(&b, "Message", e.Message)
	b.WriteString("</Error></Errors>")
	element(&b, "RequestID", requestID)
	b.WriteString("</Response>")
	return b.Bytes()
}

// renderXML writes the envelope that query and REST-XML share. REST-XML has the
// further members of an error's structure beside its message.
func renderXML(namespace string, e *Error, requestID string, fields bool) []byte {
	var b bytes.Buffer
	b.WriteString(xmlHeader + "<ErrorResponse")
	if namespace != "" {
		b.WriteString(` xmlns="`)
		escape(&b, namespace)
		b.WriteByte('"')
	}
	b.WriteString("><Error>")
	element(&b, "Type", e.Fault.String())
	element(&b, "Code", e.Code)
	element(&b, "Message", e.Message)
	if fields {
		for _, name := range sortedNames(e.Fields) {
			element(&b, name, e.Fields[name])
		}
		elements(&b, "messages", "Message", e.Messages)
	}
	b.WriteString("</Error>")
	element(&b, "RequestId", requestID)
	b.WriteString("</ErrorResponse>")
	return b.Bytes()
}

func element(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	escape(b, text)
	b.WriteString("</" + name + ">")
}

// elements writes a list, unless it is empty.
func elements(b *bytes.Buffer, name, each string, texts []string) {
	if len(texts) == 0 {
		return
	}
	b.WriteString("<" + name + ">")
	for _, text := range texts {
		element(b, each, text)
	}
	b.WriteString("</" + name + ">")
}

// escape writes text so that any of it, valid UTF-8 or not, makes well-formed
// XML: what XML cannot express becomes the replacement character.
func escape(b *bytes.Buffer, text string) {
	// EscapeText fails only if its writer does, and a buffer does not.
	_ = xml.EscapeText(b, []byte(text))
}

// fieldJSON is one entry of a fieldList.
type fieldJSON struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func renderJSON(e *Error) []byte {
	body := map[string]any{"message": e.Message}
	for name, value := range e.Fields {
		body[name] = value
	}
	if len(e.FieldList) > 0 {
		list := make([]fieldJSON, len(e.FieldList))
		for i, f := range e.FieldList {
			list[i] = fieldJSON(f)
		}
		body["fieldList"] = list
	}
	// Maps of strings always marshal; what is not UTF-8 is replaced.
	b, _ := json.Marshal(body)
	return b
}

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// headerSafe drops what must not stand in a header.
func headerSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}
