// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Gone is what a host says when the process that an interface's workload entry names
// has ended, or when that number belongs to a process of another network namespace by
// now. It says all there is to know, so it can be told over and over, to whoever asks.
type Gone struct {
	// Host is the name of the host.
	Host string
	// ENI, Attachment and Namespace are those of the workload entry: the interface may
	// have another attachment by now, even in a namespace of the same name.
	ENI, Attachment string
	Namespace       Namespace
	// Revision is that of the state by which the host knew the workload: who has
	// read less may not know the attachment yet.
	Revision int64
}

// String prints it on one line, as ParseGone reads it.
func (g Gone) String() string {
	b := appendName([]byte("gone "), g.ENI, "")
	b = appendName(append(b, " host="...), g.Host, "")
	b = appendName(append(b, " attachment="...), g.Attachment, "")
	b = g.Namespace.append(append(b, " namespace="...))
	b = strconv.AppendInt(append(b, " revision="...), g.Revision, 10)
	return string(b)
}

// ParseGone reads what String prints.
func ParseGone(text string) (g Gone, err error) {
	parts := strings.Split(text, " ")
	if len(parts) != 6 || parts[0] != "gone" {
		return g, fmt.Errorf("%q does not say who is gone", text)
	}
	var errs [5]error
	g.ENI, errs[0] = url.PathUnescape(parts[1])
	for i, field := range []struct {
		name string
		read func(string) error
	}{
		{"host=", func(text string) (err error) { g.Host, err = url.PathUnescape(text); return err }},
		{"attachment=", func(text string) (err error) { g.Attachment, err = url.PathUnescape(text); return err }},
		{"namespace=", func(text string) (err error) { g.Namespace, err = ParseNamespace(text); return err }},
		{"revision=", func(text string) (err error) { g.Revision, err = strconv.ParseInt(text, 10, 64); return err }},
	} {
		value, ok := strings.CutPrefix(parts[2+i], field.name)
		if !ok {
			errs[1+i] = fmt.Errorf("%s is missing", field.name)
			continue
		}
		errs[1+i] = field.read(value)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return g, fmt.Errorf("read %q: %w", text, err)
	}
	return g, nil
}
