// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"encoding/json"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/token"
)

// TestReasonsAreSealed opens what comes with a denial of EC2, as only the account that it
// was for can.
func TestReasonsAreSealed(t *testing.T) {
	w := newWorld(t)
	w.network(mine)
	key := w.user(mine, "ANN", statement("Deny", "ec2:DeleteVpc", "*", ""))
	c, _, err := w.Lookup(t.Context(), key, "")
	if err != nil {
		t.Fatal(err)
	}
	who, op := c.Caller, access.Services["ec2"].Operations["DeleteVpc"]
	who.AccessKeyID, who.Region = key, region
	in := &ec2.DeleteVpcInput{VpcId: new("vpc-1")}
	d, err := w.Decide(t.Context(), &access.Request{Asked: access.Asked{Caller: &who, Operation: op, Input: in, Explained: true, Asks: op.Ask(nil, &who, in)}})
	if err != nil || d.Allowed || d.Encoded == "" {
		t.Fatalf("decided %+v, %v", d, err)
	}
	if _, err := token.OpenRefusal(w.Seal, theirs, d.Encoded); err == nil {
		t.Error("another account can read it")
	}
	text, err := token.OpenRefusal(w.Seal, mine, d.Encoded)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Allowed, ExplicitDeny bool
		MatchedStatements     struct{ Items []struct{ Effect string } }
		Context               struct {
			Principal        struct{ ID, ARN string }
			Action, Resource string
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	x := got.Context
	if got.Allowed || !got.ExplicitDeny || len(got.MatchedStatements.Items) != 1 || x.Principal.ID != "AIDAANN" ||
		x.Action != "ec2:DeleteVpc" || x.Resource != "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1" {
		t.Errorf("it says %s", text)
	}
}
