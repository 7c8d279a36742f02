// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func (f *fixture) verification(t *testing.T, domain string) *shape.StartDomainVerificationOutput {
	t.Helper()
	out, err := f.api.StartDomainVerification(f.ctx, &shape.StartDomainVerificationInput{DomainName: &domain, Tags: map[string]string{"of": domain}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A verification tells its record and how it is, to its account; it has tags, and goes
// without a word from what it speaks for.
func TestDomainVerifications(t *testing.T) {
	f := newFixture(t)
	start := func(domain, token string) (*shape.StartDomainVerificationOutput, error) {
		return f.api.StartDomainVerification(f.ctx, &shape.StartDomainVerificationInput{DomainName: &domain, ClientToken: &token})
	}
	for _, domain := range []string{"com", "a..example.com", "*.example.com", "10.0.1.1 ", "10.0.1.1", "-a.example.com", strings.Repeat("a.", 117) + "com"} {
		f.refused(t, domain, "ValidationException", func() error { _, err := start(domain, "bad"); return err })
	}
	one, err := start("Example.com", "token")
	if err != nil {
		t.Fatal(err)
	}
	again, err := start("Example.com", "token")
	if diff := cmp.Diff(one, again); err != nil || diff != "" {
		t.Errorf("the same request: %v\n%s", err, diff)
	}
	f.refused(t, "another domain with the token", "ConflictException", func() error { _, err := start("other.com", "token"); return err })
	two := f.verification(t, "example.org")
	if *one.Status != "PENDING" || *one.TxtMethodConfig.Name == *two.TxtMethodConfig.Name || *one.TxtMethodConfig.Value == *two.TxtMethodConfig.Value {
		t.Errorf("started: %v, %v", one, two)
	}
	get := func(id *string) *shape.GetDomainVerificationOutput {
		t.Helper()
		out, err := f.api.GetDomainVerification(f.ctx, &shape.GetDomainVerificationInput{DomainVerificationIdentifier: id})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := get(two.Arn); *got.Id != *two.Id || got.LastVerifiedTime != nil || got.Tags["of"] != "example.org" || *got.TxtMethodConfig.Value != *two.TxtMethodConfig.Value {
		t.Errorf("it is shown as %+v", got)
	}
	if _, err := f.api.TagResource(f.ctx, &shape.TagResourceInput{ResourceArn: two.Arn, Tags: map[string]string{"more": "1"}}); err != nil {
		t.Error(err)
	}
	f.verify(t, *two.Id, model.DomainVerified)
	if got := get(two.Id); *got.Status != "VERIFIED" || got.LastVerifiedTime == nil || got.Tags["more"] != "1" {
		t.Errorf("verified it is shown as %+v", got)
	}
	list, err := f.api.ListDomainVerifications(f.ctx, &shape.ListDomainVerificationsInput{})
	if err != nil || len(list.Items) != 2 {
		t.Errorf("listed are %v, %v", list, err)
	}
	for i := range 3 {
		f.verification(t, fmt.Sprintf("example%d.com", i))
	}
	f.refused(t, "one more than the quota", "ServiceQuotaExceededException", func() error { _, err := start("many.com", "many"); return err })
	stranger := servicetest.As(t, servicetest.OtherAccount, servicetest.Region)
	remove := &shape.DeleteDomainVerificationInput{DomainVerificationIdentifier: two.Arn}
	f.refused(t, "a stranger's look", "ResourceNotFoundException", func() error {
		_, err := f.api.GetDomainVerification(stranger, &shape.GetDomainVerificationInput{DomainVerificationIdentifier: two.Arn})
		return err
	})
	f.refused(t, "a stranger's deletion", "ResourceNotFoundException", func() error { _, err := f.api.DeleteDomainVerification(stranger, remove); return err })
	if _, err := f.api.DeleteDomainVerification(f.ctx, remove); err != nil {
		t.Error(err)
	}
	f.refused(t, "deleted twice", "ResourceNotFoundException", func() error { _, err := f.api.DeleteDomainVerification(f.ctx, remove); return err })
}

// verify does the part of who looks for records.
func (f *fixture) verify(t *testing.T, id, to string) {
	t.Helper()
	f.update(t, func(tx *table.Txn) {
		v, _ := state.DomainVerifications.Get(tx, servicetest.Account, servicetest.Region, id)
		v = v.Clone()
		v.State, v.VerifiedAt = to, time.Now()
		state.DomainVerifications.Put(tx, v)
	})
}

// Configurations show the verification that they were made with, a child that of its group,
// and are found by it, also when it is gone.
func TestConfigurationsNameTheirVerification(t *testing.T) {
	f := newFixture(t)
	gate := *f.gateway(t, gatewayInput("gate", subnetA)).Id
	v := f.verification(t, "example.com")
	input := func(name, domain string, verification *string) *shape.CreateResourceConfigurationInput {
		in := configurationInput(name, gate, "10.0.1.10")
		in.CustomDomainName, in.DomainVerificationIdentifier = &domain, verification
		return in
	}
	create := func(in *shape.CreateResourceConfigurationInput) func() error {
		return func() error { _, err := f.api.CreateResourceConfiguration(f.ctx, in); return err }
	}
	f.refused(t, "a domain that is not in it", "ValidationException", create(input("bad", "myexample.com", v.Id)))
	f.refused(t, "what does not exist", "ResourceNotFoundException", create(input("bad", "a.example.com", new("dv-0123456789abcdef0"))))
	f.refused(t, "what is none", "ValidationException", create(input("bad", "a.example.com", new("arn:aws:vpc-lattice:us-east-1:111122223333:resourcegateway/"+gate))))

	single := f.configuration(t, input("single", "DB.Example.com.", v.Arn))
	if *single.DomainVerificationId != *v.Id || *single.DomainVerificationArn != *v.Arn {
		t.Errorf("made it shows %v", single)
	}
	group := f.configuration(t, &shape.CreateResourceConfigurationInput{
		Name: new("group"), Type: new("GROUP"), ResourceGatewayIdentifier: &gate, GroupDomain: new("example.com"), DomainVerificationIdentifier: v.Id,
	})
	child := configurationInput("child", gate, "10.0.1.11")
	child.Type, child.ResourceGatewayIdentifier, child.ResourceConfigurationGroupIdentifier = new("CHILD"), nil, group.Id
	member := f.configuration(t, child)
	f.configuration(t, input("without", "b.example.com", nil))
	f.verify(t, *v.Id, model.DomainVerified)
	shown := func() (all []string) {
		for _, id := range []*string{single.Id, group.Id, member.Id} {
			got, err := f.api.GetResourceConfiguration(f.ctx, &shape.GetResourceConfigurationInput{ResourceConfigurationIdentifier: id})
			if err != nil || got.DomainVerificationId == nil || *got.DomainVerificationId != *v.Id {
				t.Errorf("%s shows %+v, %v", *id, got, err)
				continue
			}
			if got.DomainVerificationStatus != nil && *got.DomainVerificationArn == *v.Arn {
				all = append(all, *got.DomainVerificationStatus)
			}
		}
		return all
	}
	if diff := cmp.Diff([]string{"VERIFIED", "VERIFIED", "VERIFIED"}, shown()); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	count := func(gateway, group *string) int {
		list, err := f.api.ListResourceConfigurations(f.ctx, &shape.ListResourceConfigurationsInput{
			DomainVerificationIdentifier: v.Id, ResourceGatewayIdentifier: gateway, ResourceConfigurationGroupIdentifier: group,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Items {
			if r.DomainVerificationId == nil || *r.DomainVerificationId != *v.Id {
				t.Errorf("listed is %+v", r)
			}
		}
		return len(list.Items)
	}
	if all, here, elsewhere, below := count(nil, nil), count(&gate, nil), count(new("rgw-0123456789abcdef0"), nil), count(nil, group.Id); all != 3 || here != 3 || elsewhere != 0 || below != 1 {
		t.Errorf("listed are %d, of the gateway %d, of another one %d, of the group %d", all, here, elsewhere, below)
	}
	if _, err := f.api.DeleteDomainVerification(f.ctx, &shape.DeleteDomainVerificationInput{DomainVerificationIdentifier: v.Id}); err != nil {
		t.Fatal(err)
	}
	if left := shown(); len(left) != 0 {
		t.Errorf("of what is gone they show %v", left)
	}
}
