// SPDX-License-Identifier: Apache-2.0

package xmlbody

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
)

// Node is an element of a parsed document. Namespaces of elements are dropped:
// no service uses one name in two.
type Node struct {
	Name     string
	Attrs    []xml.Attr
	Text     string // all character data directly inside
	Children []*Node
}

// Child returns the first child with the name, or nil; also of a nil node.
func (n *Node) Child(name string) *Node {
	if n == nil {
		return nil
	}
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// ChildText returns the text of the first child with the name, or "".
func (n *Node) ChildText(name string) string {
	if c := n.Child(name); c != nil {
		return c.Text
	}
	return ""
}

// maxElementDepth leaves room for the wrapping of lists and maps.
const maxElementDepth = 3 * codec.MaxDepth

// Parse reads one XML document and returns its root. Document type declarations
// are refused, and with them every entity that XML itself does not know.
func Parse(data []byte) (*Node, error) {
	dec := xml.NewDecoder(bytes.NewReader(data))
	root := &Node{}
	open := []*Node{root}
	text := [][]byte{nil} // of the open elements
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, malformed("the body is not XML", err)
		}
		top := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if len(open) > maxElementDepth {
				return nil, &codec.Error{Problem: codec.TooDeep, Parameter: t.Name.Local, Detail: "is nested too deep"}
			}
			n := &Node{Name: t.Name.Local, Attrs: t.Attr}
			top.Children = append(top.Children, n)
			open, text = append(open, n), append(text, nil)
		case xml.EndElement:
			top.Text = string(text[len(text)-1])
			open, text = open[:len(open)-1], text[:len(text)-1]
		case xml.CharData:
			if top == root && strings.TrimSpace(string(t)) != "" {
				return nil, malformed("the body has text outside of its root element", nil)
			}
			text[len(text)-1] = append(text[len(text)-1], t...)
		case xml.Directive:
			return nil, malformed("the body has a document type declaration", nil)
		}
	}
	if len(root.Children) != 1 {
		return nil, malformed("the body has no single root element", nil)
	}
	return root.Children[0], nil
}

func malformed(detail string, cause error) error {
	return &codec.Error{Problem: codec.Malformed, Detail: detail, Cause: cause}
}
