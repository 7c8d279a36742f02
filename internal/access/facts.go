// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

// facts are the condition keys of one ask. Most policies ask for few keys or none, so
// nothing is worked out before it is asked for.
type facts struct {
	request *Request
	rules   *Rules
	ask     *Ask
	// resource is the ask's, with the id that it has in ARNs.
	resource Resource
}

func (f *facts) begin(r *Request, rules *Rules, a *Ask) {
	*f = facts{request: r, rules: rules, ask: a, resource: a.Resource}
	if a.Resource.Kind != nil && rules.Resources != nil {
		if id, ok := rules.Resources.Find(a); ok {
			f.resource.ID = id
		}
		if !a.Made() {
			f.resource.Account = rules.Resources.Account(f.resource)
		}
	}
}

var _ policy.Context = (*facts)(nil)

// Values implements policy.Context. Keys of the whole request and of the caller are those
// of https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html;
// the others are in the table of actions. A key of which nothing is known is absent.
func (f *facts) Values(key string) ([]string, bool) {
	prefix, rest, _ := strings.Cut(key, ":")
	if prefix == "aws" {
		return f.global(rest)
	}
	if tag, ok := strings.CutPrefix(rest, "resourcetag/"); ok {
		if k := f.resource.Kind; k == nil || k.Service != prefix {
			return nil, false
		}
		return f.resourceTag(tag)
	}
	if values, ok, is := f.databaseTag(key); is {
		return values, ok
	}
	switch key {
	case "ec2:region":
		return text(f.request.Caller.Region)
	case "ec2:createaction", "elasticloadbalancing:createaction":
		// What tags something as it makes it says so; what tags only does not.
		action, asked := tagOnCreate[prefix], f.request.Operation.name()
		if f.ask.Action == prefix+":"+action && asked != action {
			return text(asked)
		}
		return nil, false
	}
	return f.tabled(key)
}

// databaseTag gives a tag by the names that RDS has for it: rds:req-tag/KEY is one of the
// request, and rds:db-tag/KEY one of an instance, the like for the other kinds. Is says
// whether the key is called so.
func (f *facts) databaseTag(key string) (values []string, ok, is bool) {
	name, tag, is := strings.Cut(key, "-tag/")
	kind, of := strings.CutPrefix(name, "rds:")
	if !is || !of {
		return nil, false, false
	}
	if kind == "req" {
		values, ok = f.requestTag(tag)
	} else if k := f.resource.Kind; k != nil && k.Service == "rds" && k.Type == kind {
		values, ok = f.resourceTag(tag)
	}
	return values, ok, true
}

// tagOnCreate are the actions that services ask for besides one that makes something, when it
// is to have tags.
var tagOnCreate = map[string]string{"ec2": "CreateTags", "elasticloadbalancing": "AddTags"}

// tabled finds a key that the table has for the ask: what the request says goes
// before what the resource is.
func (f *facts) tabled(key string) ([]string, bool) {
	if t := f.ask.target; t != nil {
		for i := range t.Keys {
			if t.Keys[i].Name == key {
				if values, ok := f.member(&t.Keys[i]); ok {
					return values, true
				}
			}
		}
	}
	for i := range f.ask.need.Keys {
		if k := &f.ask.need.Keys[i]; k.Name == key {
			if values, ok := f.member(k); ok {
				return values, true
			}
		}
	}
	if k := f.resource.Kind; k != nil && !f.ask.Made() && f.rules.Resources != nil {
		for _, known := range k.Keys {
			if known == key {
				return f.rules.Resources.Values(f.resource, key)
			}
		}
	}
	return nil, false
}

func (f *facts) global(key string) ([]string, bool) {
	name, tag, tagged := strings.Cut(key, "/")
	if tagged {
		switch name {
		case "principaltag":
			return valueOf(f.rules.Tags, tag)
		case "resourcetag":
			return f.resourceTag(tag)
		case "requesttag":
			return f.requestTag(tag)
		}
		return nil, false
	}
	if values, ok := f.principal(key); ok {
		return values, true
	}
	r, from := f.request, &f.request.Origin
	switch key {
	case "tagkeys":
		return f.tagKeys()
	case "requestedregion":
		// Global services are all in one region:
		// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-requestedregion
		if r.Caller.Region == "" {
			return text("us-east-1")
		}
		return text(r.Caller.Region)
	case "resourceaccount":
		if f.resource.Kind == nil {
			return nil, false
		}
		return text(f.resource.Account)
	case "resourceorgid":
		if f.resource.Kind == nil || f.resource.Account != r.Caller.Account {
			return nil, false
		}
		return text(f.rules.Organization)
	case "sourceip":
		if !from.Address.IsValid() {
			return nil, false
		}
		return text(from.Address.Unmap().WithZone("").String())
	case "securetransport":
		return text(strconv.FormatBool(from.Secure))
	case "useragent":
		return text(from.UserAgent)
	case "referer":
		return text(from.Referer)
	case "currenttime":
		return text(from.Time.UTC().Format(time.RFC3339))
	case "epochtime":
		return text(strconv.FormatInt(from.Time.Unix(), 10))
	case "viaawsservice":
		return text("false")
	}
	return f.way(key)
}

// way gives the keys that are about the VPC endpoint by which the request came.
func (f *facts) way(key string) ([]string, bool) {
	from := &f.request.Origin
	if from.Endpoint == (model.Ref{}) {
		return nil, false
	}
	switch key {
	case "sourcevpce":
		return text(from.Endpoint.ID)
	case "sourcevpc":
		return text(from.VPC)
	case "vpcsourceip":
		if !from.Source.IsValid() {
			return nil, false
		}
		return text(from.Source.String())
	case "sourcevpcarn":
		return text(model.ARN("ec2", from.Endpoint.Region, from.Endpoint.Account, "vpc/"+from.VPC))
	case "vpceaccount":
		return text(from.Endpoint.Account)
	case "vpceorgid":
		return text(f.rules.EndpointOrganization)
	case "vpceorgpaths":
		return f.rules.EndpointPaths, len(f.rules.EndpointPaths) > 0
	}
	return nil, false
}

// principal gives the keys that are about the caller.
func (f *facts) principal(key string) ([]string, bool) {
	who := f.request.Caller
	switch key {
	case "principalarn":
		if who.Entity != "" {
			return text(who.Entity) // of a session, the role's
		}
		return text(who.ARN)
	case "principalaccount":
		return text(who.Account)
	case "principaltype":
		return text(principalTypes[who.Kind])
	case "principalisawsservice":
		return text("false")
	case "userid":
		return text(who.UserID)
	case "username":
		if who.Kind == policy.User {
			return text(who.EntityName)
		}
	case "principalorgid":
		return text(f.rules.Organization)
	case "principalorgpaths":
		return f.rules.Paths, len(f.rules.Paths) > 0
	}
	if who.Session == nil {
		return nil, false
	}
	switch key {
	case "tokenissuetime":
		return text(who.Session.Issued.UTC().Format(time.RFC3339))
	case "multifactorauthpresent":
		return text("false") // long-term keys do not have it
	case "sourceidentity":
		return text(who.Session.SourceIdentity)
	}
	return nil, false
}

var principalTypes = [...]string{policy.Root: "Account", policy.User: "User", policy.Role: "AssumedRole", policy.Federated: "FederatedUser", policy.Service: ""}

func text(value string) ([]string, bool) {
	if value == "" {
		return nil, false
	}
	return []string{value}, true
}

// valueOf finds a tag by its key in lower case: condition keys have no case. Tags have, so
// that there may be several, with values in any order.
func valueOf(tags map[string]string, key string) (values []string, ok bool) {
	for k, v := range tags {
		if strings.EqualFold(k, key) {
			values = append(values, v)
		}
	}
	return values, len(values) > 0
}

// resourceTag gives a tag that the resource has. What the request makes has none yet.
func (f *facts) resourceTag(key string) ([]string, bool) {
	if f.resource.Kind == nil || f.ask.Made() || f.rules.Resources == nil {
		return nil, false
	}
	return valueOf(f.rules.Resources.Tags(f.resource), key)
}

func (f *facts) requestTag(key string) (values []string, ok bool) {
	f.requestTags(func(k string, v *string) {
		if v != nil && strings.EqualFold(k, key) {
			values = append(values, *v)
		}
	})
	return values, len(values) > 0
}

func (f *facts) tagKeys() (keys []string, ok bool) {
	f.requestTags(func(k string, _ *string) { keys = append(keys, k) })
	return keys, len(keys) > 0
}

// requestTags yields the tags that the request puts on the ask's resource, and with nil
// the keys of those that it takes away.
func (f *facts) requestTags(yield func(key string, value *string)) {
	if f.request.Operation == nil {
		return
	}
	kind := ""
	if k := f.resource.Kind; k != nil {
		kind = k.Type
	}
	for _, path := range f.request.Operation.Tags {
		at(reflect.ValueOf(f.request.Input), path, func(v reflect.Value) { tagsIn(v, kind, yield) })
	}
}

// tagsIn yields what is in a value that has tags in one of the ways that AWS's services
// have: a map, a key alone, a structure of key and value, or one with tags for a type of
// resources.
func tagsIn(v reflect.Value, kind string, yield func(key string, value *string)) {
	switch v.Kind() {
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			yield(it.Key().String(), new(it.Value().String()))
		}
	case reflect.String:
		yield(v.String(), nil)
	case reflect.Struct:
		if tags := v.FieldByName("Tags"); tags.IsValid() {
			if of, ok := stringIn(v.FieldByName("ResourceType")); !ok || of == kind {
				at(tags, nil, func(v reflect.Value) { tagsIn(v, kind, yield) })
			}
		} else if key, ok := stringIn(v.FieldByName("Key")); ok {
			if value, ok := stringIn(v.FieldByName("Value")); ok {
				yield(key, &value)
			} else {
				yield(key, nil)
			}
		}
	}
}

func stringIn(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.String {
		return "", false
	}
	return v.String(), true
}

// at yields what is at the end of a path of fields, through lists and pointers.
func at(v reflect.Value, path []int, yield func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			at(v.Elem(), path, yield)
		}
	case reflect.Slice:
		for i := range v.Len() {
			at(v.Index(i), path, yield)
		}
	default:
		if len(path) > 0 {
			at(v.Field(path[0]), path[1:], yield)
		} else if v.IsValid() {
			yield(v)
		}
	}
}

// member gives the values of a key that come from the request, or from a resource that
// it names.
func (f *facts) member(k *Key) (values []string, ok bool) {
	at(reflect.ValueOf(f.request.Input), k.Path, func(v reflect.Value) {
		if k.Of != "" {
			t := Target{Kinds: []*Kind{k.Kind}}
			if f.rules.Resources != nil && v.Len() > 0 {
				of, _ := f.rules.Resources.Values(f.whose(t.own(f.request.Caller, v.String())), k.Of)
				values = append(values, of...)
			}
		} else if value := f.form(k, v); value != "" {
			values = append(values, value)
		}
	})
	return values, len(values) > 0
}

// whose gives a resource that a request names by its id alone the account that it is of.
func (f *facts) whose(r Resource) Resource {
	if f.rules.Resources != nil {
		r.Account = f.rules.Resources.Account(r)
	}
	return r
}

func (f *facts) form(k *Key, v reflect.Value) string {
	var value string
	switch v.Kind() {
	case reflect.String:
		value = v.String()
	case reflect.Bool:
		value = strconv.FormatBool(v.Bool())
	case reflect.Int32, reflect.Int64:
		value = strconv.FormatInt(v.Int(), 10)
	}
	switch k.Form {
	case ARN:
		if value != "" && !strings.HasPrefix(value, "arn:") {
			t := Target{Kinds: []*Kind{k.Kind}}
			value = f.whose(t.own(f.request.Caller, value)).ARN()
		}
	case DNS:
		value = strings.ToLower(strings.TrimSuffix(value, "."))
	case VPC:
		// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html
		id, _ := stringIn(v.FieldByName("VPCId"))
		region, _ := stringIn(v.FieldByName("VPCRegion"))
		value = "VPCId=" + id + ",VPCRegion=" + region
	}
	return value
}

// AddressOf reads the address of whoever sent a request, as net/http gives it.
func AddressOf(remote string) netip.Addr {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr()
}
