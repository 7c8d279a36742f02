// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"net/url"
	"strings"
)

// Labels takes an escaped path apart by a template such as /tags/{resourceArn}
// and returns the decoded labels by name. A label {name+} at the end takes all
// the rest, slashes included. ok is false when the path does not fit, when a
// label would be empty, or when an escape is broken.
func Labels(template, escaped string) (labels map[string]string, ok bool) {
	template, _, _ = strings.Cut(template, "?")
	labels = map[string]string{}
	for {
		pattern, moreTemplate, tail := strings.Cut(template, "/")
		if name, greedy := strings.CutSuffix(labelName(pattern), "+"); greedy {
			value, err := url.PathUnescape(escaped)
			if err != nil || value == "" || tail {
				return nil, false
			}
			labels[name] = value
			return labels, true
		}
		segment, moreEscaped, more := strings.Cut(escaped, "/")
		if more != tail || !matchSegment(pattern, segment, labels) {
			return nil, false
		}
		if !more {
			return labels, true
		}
		template, escaped = moreTemplate, moreEscaped
	}
}

// matchSegment compares one part of a path; a label's value goes into labels.
func matchSegment(pattern, segment string, labels map[string]string) bool {
	value, err := url.PathUnescape(segment)
	if err != nil {
		return false
	}
	name := labelName(pattern)
	if name == "" {
		return value == pattern
	}
	labels[name] = value
	return value != ""
}

// labelName returns what stands in the braces of {name}, or "".
func labelName(pattern string) string {
	if strings.HasPrefix(pattern, "{") && strings.HasSuffix(pattern, "}") {
		return pattern[1 : len(pattern)-1]
	}
	return ""
}

// ExpandPath puts labels into a template and returns the escaped path. It is an
// error if a label is missing or empty: the path would name something else.
func ExpandPath(template string, labels map[string]string) (string, error) {
	template, _, _ = strings.Cut(template, "?")
	segments := strings.Split(template, "/")
	for i, pattern := range segments {
		name := labelName(pattern)
		if name == "" {
			continue
		}
		name, greedy := strings.CutSuffix(name, "+")
		value := labels[name]
		if value == "" {
			return "", fmt.Errorf("expand path %s: label %s is empty", template, name)
		}
		if greedy {
			parts := strings.Split(value, "/")
			for j := range parts {
				parts[j] = EscapeLabel(parts[j])
			}
			segments[i] = strings.Join(parts, "/")
			continue
		}
		segments[i] = EscapeLabel(value)
	}
	return strings.Join(segments, "/"), nil
}

// EscapeLabel escapes all but the unreserved characters of RFC 3986, as SigV4
// wants it.
func EscapeLabel(s string) string {
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		fmt.Fprintf(&out, "%%%02X", c)
	}
	return out.String()
}
