// SPDX-License-Identifier: Apache-2.0

package sts

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/service/servicetest"
)

func TestCallersLearnWhoTheyAre(t *testing.T) {
	got, err := API{}.GetCallerIdentity(servicetest.As(t, servicetest.OtherAccount, servicetest.Region), &shape.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	want := &shape.GetCallerIdentityOutput{
		UserId: new("AIDATEST"), Account: new(servicetest.OtherAccount), Arn: new("arn:aws:iam::444455556666:user/test"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}
