// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/policytest"
)

// Who asks, in the tables of decisions.
const (
	byRoot     = "the root"
	byUser     = "a user with ten policies"
	onePolicy  = "one policy"
	ten        = "ten policies"
	withLayers = "ten policies, and all other layers"
)

// decided is how many decisions are measured at a time: some tenths of a second.
const decided = 50_000

// measureDecisions measures how long policies take to allow, in this process.
func (b *bench) measureDecisions(context.Context) error {
	questions := map[string]*policy.Question{}
	for name, make := range map[string]func() (*policy.Question, error){onePolicy: policytest.Ten, ten: policytest.Ten, withLayers: policytest.Layered} {
		q, err := make()
		if err != nil {
			return fmt.Errorf("make a question about %s: %w", name, err)
		}
		questions[name] = q
	}
	p := questions[onePolicy].Principal
	p.Identity = p.Identity[len(p.Identity)-1:]
	for range b.rounds {
		for _, name := range []string{onePolicy, ten, withLayers} {
			took, allocations, err := decide(questions[name])
			if err != nil {
				return err
			}
			time, memory := b.decisions.Less("an Allow", "µs"), b.decisions.Less("allocations of it", "")
			time.Add(name, took)
			memory.Add(name, allocations)
			if len(time.Targets) == 0 {
				time.Within(ten, 10)
				memory.Within(withLayers, 0)
			}
		}
	}
	return nil
}

// decide gives microseconds and allocations of one decision.
func decide(q *policy.Question) (took, allocations float64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	for range decided {
		if v := policy.Evaluate(q); !v.Allowed {
			return 0, 0, errors.New("decide by policies: what is allowed was denied")
		}
	}
	elapsed := time.Since(begun)
	runtime.ReadMemStats(&after)
	// What else runs in this process allocates too, now and then.
	return float64(elapsed.Nanoseconds()) / 1000 / decided, float64((after.Mallocs - before.Mallocs) / decided), nil
}

// makeUser makes a user with ten policies, of which one of AWS's lets it read, and a
// key of it.
func (w *world) makeUser(ctx context.Context) (*client.Client, error) {
	const name = "bench"
	if _, err := call[iam.CreateUserOutput](ctx, w, iam.Service, "CreateUser", &iam.CreateUserInput{UserName: new(name)}); err != nil {
		return nil, err
	}
	arns := []string{"arn:aws:iam::aws:policy/AmazonVPCReadOnlyAccess"}
	for i, text := range policytest.TenTexts()[:9] {
		made, err := call[iam.CreatePolicyOutput](ctx, w, iam.Service, "CreatePolicy",
			&iam.CreatePolicyInput{PolicyName: new(fmt.Sprintf("bench-%d", i)), PolicyDocument: new(text)})
		if err != nil {
			return nil, err
		}
		arns = append(arns, *made.Policy.Arn)
	}
	for _, arn := range arns {
		_, err := call[iam.AttachUserPolicyOutput](ctx, w, iam.Service, "AttachUserPolicy", &iam.AttachUserPolicyInput{UserName: new(name), PolicyArn: &arn})
		if err != nil {
			return nil, err
		}
	}
	key, err := call[iam.CreateAccessKeyOutput](ctx, w, iam.Service, "CreateAccessKey", &iam.CreateAccessKeyInput{UserName: new(name)})
	if err != nil {
		return nil, err
	}
	return w.As(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey).Client, nil
}

// measureAskers measures one request of the root and of the user, in turns.
func (b *bench) measureAskers(ctx context.Context, w *world) error {
	if w.user == nil {
		var err error
		if w.user, err = w.makeUser(ctx); err != nil {
			return fmt.Errorf("make a user with ten policies: %w", err)
		}
	}
	for _, asker := range []struct {
		name string
		as   *client.Client
	}{{byRoot, w.Client}, {byUser, w.user}} {
		request, err := w.describe(ctx, asker.as)
		if err != nil {
			return err
		}
		c, err := measure(ctx, w.address(), w.PID(), askers, during(b.describe, request))
		if err != nil {
			return fmt.Errorf("measure %s: %w", asker.name, err)
		}
		b.addCell(b.asked, asker.name, askers, c)
	}
	return nil
}

// askers is how many clients ask at once.
const askers = 16

// decisionTables adds the tables of what is measured here.
func (b *bench) decisionTables(s *report.Section) {
	b.asked = s.Table("API: DescribeVpcEndpoints of one, by who asks", byRoot, byRoot, byUser)
	b.decisions = s.Table("Decisions by policies", onePolicy, onePolicy, ten, withLayers)
}
