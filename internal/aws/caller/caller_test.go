// SPDX-License-Identifier: Apache-2.0

package caller_test

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/caller"
)

func TestFromReturnsWhatWithPut(t *testing.T) {
	want := caller.Caller{Account: "111122223333", Region: "us-east-1", RequestID: "r"}
	if got := caller.From(caller.With(t.Context(), want)); got != want {
		t.Errorf("From = %+v, want %+v", got, want)
	}
}

func TestFromWithoutCallerIsZero(t *testing.T) {
	if got := caller.From(t.Context()); got != (caller.Caller{}) {
		t.Errorf("From = %+v, want the zero Caller", got)
	}
}
