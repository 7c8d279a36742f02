// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"
	"time"

	iam "github.com/aws/aws-sdk-go-v2/service/iam/types"
	lattice "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

// unions says which member is taken where the SDK has an interface.
var unions = map[reflect.Type]any{
	reflect.TypeFor[lattice.ResourceConfigurationDefinition](): lattice.ResourceConfigurationDefinitionMemberIpResource{},
	reflect.TypeFor[iam.PolicyIdentifier]():                    iam.PolicyIdentifierMemberInlinePolicyIdentifier{},
}

const maxDepth = 10

// moment is what every timestamp is filled with.
var moment = time.Date(2026, time.January, 2, 3, 4, 5, 678_000_000, time.UTC)

// fill sets v and all below it to values that say where they are, and that need
// escaping on every protocol.
func fill(v reflect.Value, name string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s is nested deeper than %d", name, maxDepth)
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(moment))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), name, depth)
	case reflect.Struct:
		return fillStruct(v, depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			if err := fill(v.Index(i), fmt.Sprintf("%s %d", name, i+1), depth+1); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		v.Set(reflect.MakeMap(v.Type()))
		if err := fill(value, name+" value", depth+1); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name+" key"), value)
		return nil
	case reflect.Interface:
		return fillUnion(v, name, depth)
	}
	return fillScalar(v, name)
}

func fillStruct(v reflect.Value, depth int) error {
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() {
			if err := fill(v.Field(i), field.Name, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func fillUnion(v reflect.Value, name string, depth int) error {
	chosen, known := unions[v.Type()]
	if !known {
		return fmt.Errorf("%s is of the unknown union %v", name, v.Type())
	}
	member := reflect.New(reflect.TypeOf(chosen))
	if err := fill(member.Elem(), name, depth+1); err != nil {
		return err
	}
	v.Set(member)
	return nil
}

func fillScalar(v reflect.Value, name string) error {
	switch v.Kind() {
	case reflect.String:
		if values := v.MethodByName("Values"); values.IsValid() {
			v.Set(values.Call(nil)[0].Index(0))
			return nil
		}
		v.SetString(name + "/é&=+%<")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(5)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	default:
		return fmt.Errorf("%s is of the kind %v", name, v.Kind())
	}
	return nil
}
