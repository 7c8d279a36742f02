// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"encoding/json"
	"errors"
	"reflect"
	"unicode/utf8"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/state"
)

const (
	// maxPolicy is how many characters the policy of an endpoint can have:
	// https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html
	maxPolicy = 20480
	// defaultPolicy lets everything through, as that of AWS:
	// https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
	defaultPolicy = `{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}`
)

// setPolicy gives the caller's copy of an endpoint a policy. One that would have to be asked
// by somebody who does not understand it is refused: it would promise what nobody keeps.
func setPolicy(e *model.VPCEndpoint, offer state.Offer, text string) error {
	if n := utf8.RuneCountInString(text); n > maxPolicy {
		return fault.EC2("InvalidPolicyDocument", "The PolicyDocument has %d characters, an endpoint's can have %d", n, maxPolicy)
	}
	if _, err := policy.Parse(policy.Resource, text); err != nil {
		var wrong *policy.Error
		if errors.As(err, &wrong) && wrong.Detail != "" {
			return fault.EC2("InvalidPolicyDocument", "The PolicyDocument is no valid policy: %s %s", wrong.Text, wrong.Detail)
		}
		return fault.EC2("InvalidPolicyDocument", "The PolicyDocument is no valid policy: %v", err)
	}
	switch {
	case allowsAll(text):
		e.Policy = text
	case !offer.EnforcesPolicies():
		return fault.EC2("InvalidParameter", "The service %s does not evaluate endpoint policies, so that PolicyDocument must be the default one, which allows everything", offer.Name)
	default:
		e.Policy = text
	}
	return nil
}

// allowsAll reports whether a policy says what the default one does. Its version, its id and
// those of its statements make no difference.
func allowsAll(text string) bool {
	var got, want map[string]any
	if json.Unmarshal([]byte(text), &got) != nil || json.Unmarshal([]byte(defaultPolicy), &want) != nil {
		return false
	}
	delete(got, "Version")
	delete(got, "Id")
	if single, is := got["Statement"].(map[string]any); is {
		got["Statement"] = []any{single}
	}
	statements, _ := got["Statement"].([]any)
	for _, s := range statements {
		if s, is := s.(map[string]any); is {
			delete(s, "Sid")
		}
	}
	return reflect.DeepEqual(got, want)
}

// policyOf is the policy of an endpoint as it is shown; none for those that have none.
func policyOf(e *model.VPCEndpoint) *string {
	switch {
	case e.Type == model.EndpointResource:
		return nil
	case e.Policy == "":
		return new(defaultPolicy)
	}
	return &e.Policy
}
