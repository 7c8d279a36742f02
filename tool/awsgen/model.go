// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// model is a service description in the format of botocore's service-2.json,
// as far as the generator and command line clients need it.
type model struct {
	Version       string                     `json:"version"`
	Metadata      metadata                   `json:"metadata"`
	Operations    map[string]*modelOperation `json:"operations"`
	Shapes        map[string]*modelShape     `json:"shapes"`
	AllOperations []string                   `json:"allOperations,omitempty"` // ours: every name, served or not
}

type metadata struct {
	APIVersion          string   `json:"apiVersion"`
	Auth                []string `json:"auth,omitempty"`
	EndpointPrefix      string   `json:"endpointPrefix"`
	GlobalEndpoint      string   `json:"globalEndpoint,omitempty"`
	JSONVersion         string   `json:"jsonVersion,omitempty"`
	Protocol            string   `json:"protocol"`
	Protocols           []string `json:"protocols,omitempty"`
	ServiceAbbreviation string   `json:"serviceAbbreviation,omitempty"`
	ServiceFullName     string   `json:"serviceFullName"`
	ServiceID           string   `json:"serviceId"`
	SignatureVersion    string   `json:"signatureVersion"`
	SigningName         string   `json:"signingName,omitempty"`
	TargetPrefix        string   `json:"targetPrefix,omitempty"`
	UID                 string   `json:"uid"`
	XMLNamespace        string   `json:"xmlNamespace,omitempty"`
}

type modelOperation struct {
	Name string `json:"name"`
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode,omitempty"`
	} `json:"http"`
	Input      *modelRef   `json:"input,omitempty"`
	Output     *modelRef   `json:"output,omitempty"`
	Errors     []*modelRef `json:"errors,omitempty"`
	Idempotent bool        `json:"idempotent,omitempty"`
	Readonly   bool        `json:"readonly,omitempty"`
}

// modelRef is a reference to a shape with the traits of the place it is used in.
type modelRef struct {
	Shape            string        `json:"shape"`
	Location         string        `json:"location,omitempty"`
	LocationName     string        `json:"locationName,omitempty"`
	QueryName        string        `json:"queryName,omitempty"`
	ResultWrapper    string        `json:"resultWrapper,omitempty"`
	IdempotencyToken bool          `json:"idempotencyToken,omitempty"`
	TimestampFormat  string        `json:"timestampFormat,omitempty"`
	XMLAttribute     bool          `json:"xmlAttribute,omitempty"`
	XMLNamespace     *xmlNamespace `json:"xmlNamespace,omitempty"`
}

type xmlNamespace struct {
	Prefix string `json:"prefix,omitempty"`
	URI    string `json:"uri"`
}

type modelShape struct {
	Type            string          `json:"type"`
	Required        []string        `json:"required,omitempty"`
	Members         members         `json:"members,omitempty"`
	Member          *modelRef       `json:"member,omitempty"`
	Key             *modelRef       `json:"key,omitempty"`
	Value           *modelRef       `json:"value,omitempty"`
	Enum            []string        `json:"enum,omitempty"`
	Min             *json.Number    `json:"min,omitempty"`
	Max             *json.Number    `json:"max,omitempty"`
	Pattern         string          `json:"pattern,omitempty"`
	Union           bool            `json:"union,omitempty"`
	Payload         string          `json:"payload,omitempty"`
	Flattened       bool            `json:"flattened,omitempty"`
	LocationName    string          `json:"locationName,omitempty"`
	Sensitive       bool            `json:"sensitive,omitempty"`
	Box             bool            `json:"box,omitempty"`
	TimestampFormat string          `json:"timestampFormat,omitempty"`
	Error           json.RawMessage `json:"error,omitempty"`
	Exception       bool            `json:"exception,omitempty"`
	Fault           bool            `json:"fault,omitempty"`
	Retryable       json.RawMessage `json:"retryable,omitempty"`
}

// members are the members of a structure in the order of the file, which is the
// order of the Go fields and of XML answers.
type members []member

type member struct {
	Name string
	modelRef
}

// UnmarshalJSON reads a JSON object and keeps the order of its keys.
func (m *members) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	*m = members{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		one := member{Name: key.(string)}
		if err := dec.Decode(&one.modelRef); err != nil {
			return fmt.Errorf("member %s: %w", one.Name, err)
		}
		*m = append(*m, one)
	}
	return nil
}

// MarshalJSON writes the members as an object in their order.
func (m members) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, one := range m {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(one.Name)
		if err != nil {
			return nil, err
		}
		ref, err := json.Marshal(one.modelRef)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(ref)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// readModel reads dir/name.json.
func readModel(dir, name string) (*model, error) {
	data, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", name, err)
	}
	var m model
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("parse model %s: %w", name, err)
	}
	return &m, nil
}
