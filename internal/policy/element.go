// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/model"
)

// action is a pattern of actions. An empty service stands for all.
type action struct {
	source, service string
	name            pattern
}

func (a *action) matches(service, name string) bool {
	return a.service == "" || foldEqual(a.service, service) && a.name.matchFold(name)
}

func (p *parser) actions(s *statement, element string, n *node) *Error {
	sources, ok := n.texts(false)
	if !ok {
		return syntax(p.where, "has %s that is neither a string nor a list of strings", element)
	}
	for _, source := range sources {
		a, problem := p.action(source)
		if problem != nil {
			return problem
		}
		s.actions = append(s.actions, a)
	}
	if p.kind != Trust {
		return nil
	}
	for i := range s.actions {
		if s.notAction || !trusts(&s.actions[i]) {
			return &Error{Text: textTrustAction}
		}
	}
	return nil
}

func (p *parser) action(source string) (a action, problem *Error) {
	a.source = source
	if source == "*" {
		return a, nil
	}
	service, name, ok := strings.Cut(source, ":")
	switch {
	case !ok || service == "":
		return a, &Error{Text: textNoVendor}
	case strings.Contains(name, ":"):
		return a, &Error{Text: textColons}
	case strings.ContainsFunc(service, func(r rune) bool { return !alphanumeric(r) && r != '-' && r != '.' }):
		return a, &Error{Text: fmt.Sprintf("Vendor %.200s is not valid", service)}
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("*?-_.", r) }):
		return a, syntax(p.where, "has an action %q, which none can be", source)
	}
	a.service = strings.ToLower(service)
	a.name, _ = compilePattern(name, true, false)
	return a, nil
}

// trustActions are what a trust policy may be about.
var trustActions = []string{
	"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "TagSession", "SetSourceIdentity", "SetContext",
}

func trusts(a *action) bool {
	return a.service == "sts" && slices.ContainsFunc(trustActions, a.name.matchFold)
}

func (p *parser) resources(s *statement, element string, n *node) *Error {
	if p.kind == Trust || p.kind == Permission {
		return &Error{Text: textNoField + "Resource"}
	}
	sources, ok := n.texts(false)
	if !ok {
		return syntax(p.where, "has %s that is neither a string nor a list of strings", element)
	}
	for _, source := range sources {
		r, problem := p.resource(source)
		if problem != nil {
			return problem
		}
		s.resources = append(s.resources, r)
	}
	return nil
}

// resource reads a pattern of ARNs. Parts that one does not have may be anything.
func (p *parser) resource(source string) (pattern, *Error) {
	// Colons in variables are not those of the ARN.
	outline, problem := compilePattern(source, false, p.vars)
	if problem != "" {
		return pattern{}, syntax(p.where, "has a resource %q that %s", source, problem)
	}
	whole := source
	if source != "*" {
		var b strings.Builder
		for _, q := range outline.pieces {
			if q.kind == variable {
				q.text = "$"
			}
			b.WriteString(q.text)
		}
		if problem := p.checkARN(source, b.String()); problem != nil {
			return pattern{}, problem
		}
		whole += strings.Repeat(":*", max(0, 5-strings.Count(b.String(), ":")))
	}
	r, _ := compilePattern(whole, true, p.vars)
	r.source = source
	return r, p.bounded(&r)
}

// iamPaths are how resources of IAM can begin.
var iamPaths = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/", "sms-mfa/",
	"saml-provider/", "oidc-provider/", "report/", "access-report/", "*", "$",
}

func (p *parser) checkARN(source, outline string) *Error {
	parts := strings.SplitN(outline, ":", 6)
	switch {
	case len(parts) < 2 || parts[0] != "arn":
		return &Error{Text: fmt.Sprintf("Resource %.200s must be in ARN format or \"*\".", source)}
	case parts[1] != model.Partition && parts[1] != "*":
		for len(parts) < 6 {
			parts = append(parts, "*")
		}
		return &Error{Text: fmt.Sprintf("Partition %.200q is not valid for resource %.200q.", parts[1], strings.Join(parts, ":"))}
	case len(parts) < 3 || parts[2] == "" || p.kind != Control && strings.ContainsAny(parts[2], "*?$"):
		return &Error{Text: textNoService}
	case len(parts) < 6 && strings.Contains(outline, "::"):
		return &Error{Text: textLegacy, Detail: fmt.Sprintf("(%s: the resource %.200q ends early.)", p.where, source)}
	case parts[2] != "iam":
		return nil
	case len(parts) > 3 && parts[3] != "":
		return &Error{Text: fmt.Sprintf("IAM resource %.200s cannot contain region information.", source)}
	case len(parts) == 6 && !slices.ContainsFunc(iamPaths, func(begin string) bool { return strings.HasPrefix(parts[5], begin) }):
		return &Error{Text: textPath}
	}
	return nil
}
