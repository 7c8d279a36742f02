// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/policy"
)

// identity writes who asked
// (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html).
func (w *writer) identity(e *Event) {
	c := e.Caller
	w.name("userIdentity")
	w.open()
	defer w.close()
	kind := typeOf(c)
	w.text("type", kind)
	if c.Account == "" {
		w.some("accessKeyId", cut(e.Key, maxName))
		return
	}
	w.text("principalId", c.UserID)
	w.text("arn", c.ARN)
	w.text("accountId", c.Account)
	w.text("accessKeyId", c.AccessKeyID)
	if kind == "IAMUser" {
		w.text("userName", userName(c))
	}
	if c.Session != nil {
		w.session(c)
	}
}

// session writes what temporary keys say of their session. Nobody has proven to have a
// second factor.
func (w *writer) session(c *access.Caller) {
	w.name("sessionContext")
	w.open()
	switch {
	case c.Kind != policy.Role && c.Kind != policy.Federated:
	case c.Entity == "" || strings.HasSuffix(c.Entity, ":root"):
		w.issuer("Root", c.Account, c.Entity, c.Account, "")
	case c.Kind == policy.Role:
		w.issuer("Role", c.EntityID, c.Entity, c.Account, c.EntityName)
	default:
		w.issuer("IAMUser", c.EntityID, c.Entity, c.Account, c.EntityName)
	}
	w.some("sourceIdentity", cut(c.Session.SourceIdentity, maxName))
	w.name("attributes")
	w.open()
	w.time("creationDate", c.Session.Issued)
	w.text("mfaAuthenticated", "false")
	w.close()
	w.close()
}

func (w *writer) issuer(kind, id, arn, account, name string) {
	w.name("sessionIssuer")
	w.open()
	w.text("type", kind)
	w.text("principalId", id)
	w.some("arn", arn)
	w.text("accountId", account)
	w.some("userName", name)
	w.close()
}

func typeOf(c *access.Caller) string {
	switch {
	case c.Account == "":
		return "Unknown"
	case c.Kind == policy.Role:
		return "AssumedRole"
	case c.Kind == policy.Federated:
		return "FederatedUser"
	case strings.HasSuffix(c.ARN, ":root"):
		return "Root"
	}
	return "IAMUser"
}

// userName is the name of a user without its path.
func userName(c *access.Caller) string {
	if c.EntityName != "" {
		return c.EntityName
	}
	return c.ARN[strings.LastIndexByte(c.ARN, '/')+1:]
}
