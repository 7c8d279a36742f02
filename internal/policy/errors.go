// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
)

// Error says why a text is no policy, in a sentence for users. Services answer it
// as MalformedPolicyDocument.
type Error struct {
	// Text is what AWS answers.
	Text string
	// Detail is what AWS leaves to guess; empty when the text says it all.
	Detail string
}

// Error is the text and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Text
	}
	return e.Text + " " + e.Detail
}

// The texts of AWS that have no place for a name.
const (
	textNoJSON      = "This policy contains invalid Json"
	textSyntax      = "Syntax errors in policy."
	textLegacy      = "The policy failed legacy parsing"
	textSidTwice    = "Statement IDs (SID) in a single policy must be unique."
	textSidSigns    = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	textNoAction    = "Policy statement must contain actions."
	textNoResource  = "Policy statement must contain resources."
	textPrincipal   = "Policy document should not specify a principal."
	textNoVendor    = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	textColons      = "Actions/Condition can contain only one colon."
	textNoService   = "Resource vendor must be fully qualified and cannot contain regexes."
	textTrustAction = "AssumeRole policy may only specify STS AssumeRole actions."
	textNeedsWho    = "Missing required field Principal"
	textNobody      = "Missing required field Principal cannot be empty!"
	textNoField     = "Has prohibited field "
	textPath        = `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, ` +
		"server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/."
)

// syntax is AWS's most general refusal, with what is wrong and where. What is long in
// the policy is cut short.
func syntax(where, format string, args ...any) *Error {
	for i := range args {
		if s, ok := args[i].(string); ok && len(s) > 200 {
			args[i] = strings.ToValidUTF8(s[:200], "")
		}
	}
	detail := fmt.Sprintf(format, args...) + "."
	if where != "" {
		return &Error{Text: textSyntax, Detail: where + " " + detail}
	}
	return &Error{Text: textSyntax, Detail: "The policy is wrong: " + detail}
}

// InvalidPrincipal refuses a principal of the type AWS, such as one that is not there.
func InvalidPrincipal(name string) *Error { return invalidPrincipal("AWS", name) }

func invalidPrincipal(kind, name string) *Error {
	return &Error{Text: fmt.Sprintf("Invalid principal in policy: %.200q:%.200q", kind, name)}
}
