// SPDX-License-Identifier: Apache-2.0

package vpclattice_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/service/vpclattice"
)

// TestWhatCannotBeHereIsListedEmpty calls every list of which nothing can be
// made.
func TestWhatCannotBeHereIsListedEmpty(t *testing.T) {
	api := &vpclattice.API{Env: servicetest.New(t).Env}
	ctx := servicetest.As(t, servicetest.Account, servicetest.Region)
	called := 0
	for _, op := range shape.Service.Operations {
		if !strings.HasPrefix(op.Name, "List") || strings.HasPrefix(op.Name, "ListResource") || op.Name == "ListTagsForResource" {
			continue
		}
		called++
		out, err := op.Call(ctx, api, op.NewInput())
		if err != nil || reflect.ValueOf(out).Elem().FieldByName("Items").Len() != 0 {
			t.Errorf("%s: %v, %v", op.Name, out, err)
		}
		in := op.NewInput()
		reflect.ValueOf(in).Elem().FieldByName("NextToken").Set(reflect.ValueOf(new("forged")))
		if _, err := op.Call(ctx, api, in); !fault.Is(err, "ValidationException") {
			t.Errorf("%s: a forged token gives %v", op.Name, err)
		}
	}
	if called < 9 {
		t.Errorf("%d lists were called", called)
	}
}
