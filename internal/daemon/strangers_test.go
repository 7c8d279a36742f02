// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/inputtest"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/aws/validate"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/postern"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/trail"
)

const (
	victim   = "777788889999"
	stranger = servicetest.OtherAccount
	// canary is in every text of the victim's rows, and no request has it but in an id.
	canary = "canary"
	// mark is in all of the victim's ids.
	mark = "c0ffeec0ffee"
)

// village has an account with a row in every table, a stranger, and one who lives in the
// account and may do nothing.
type village struct {
	t        *testing.T
	world    *servicetest.World
	services []*schema.Service
	url      string
	// has and lacks are, by kinds of the table of actions, what one of the victim's is
	// called, and what nothing is called.
	has, lacks map[string]string
}

type nobodyObserves struct{}

func (nobodyObserves) Desired() string                 { return canary }
func (nobodyObserves) Status() postern.DataplaneStatus { return postern.DataplaneStatus{} }

func newVillage(t *testing.T) *village {
	v := &village{t: t, world: servicetest.New(t), has: map[string]string{}, lacks: map[string]string{}}
	d := &daemon{env: v.world.Env, db: v.world.DB, config: Config{Regions: v.world.Regions, Log: slog.New(slog.DiscardHandler)}}
	kept := trail.Open(t.TempDir(), trail.DefaultLimits())
	mounted := d.services(nobodyObserves{}, nil, kept)
	for _, m := range mounted {
		v.services = append(v.services, m.Service)
	}
	handler, err := d.handler(mounted, kept, func(server.Observation) {})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	v.url = s.URL
	for i, rows := range state.Tables() {
		for _, region := range []string{servicetest.Region, ""} {
			v.settle(rows, i, region)
		}
	}
	return v
}

// settle puts a row of the victim's into a table, every field of which has a value.
func (v *village) settle(rows table.Any, number int, region string) {
	v.t.Helper()
	put := reflect.ValueOf(rows).MethodByName("Put")
	row := reflect.New(put.Type().In(1).Elem())
	id := fmt.Sprintf("%s%05x", mark, number)
	fillRow(row.Elem(), "", id, region)
	kind := taggedBy(rows.Kind())
	if kind != nil {
		row.Interface().(interface{ Common() *model.Meta }).Common().ID = kind.Prefix + id
	} else if prefix := associations[rows.Kind()]; prefix != "" {
		row.Elem().FieldByName("ID").SetString(prefix + id)
		v.has[prefix], v.lacks[prefix] = prefix+id, prefix+fmt.Sprintf("%017x", number+1)
	}
	v.parts(row.Interface(), id, number)
	if _, err := v.world.DB.Update(v.t.Context(), func(tx *table.Txn) error {
		put.Call([]reflect.Value{reflect.ValueOf(tx), row})
		return nil
	}); err != nil {
		v.t.Fatal(err)
	}
	if kind == nil {
		return
	}
	name, none := kind.Prefix+id, kind.Prefix+fmt.Sprintf("%017x", number+1)
	if named, ok := row.Interface().(interface{ ARN() string }); ok && kind.Service == state.IAM {
		parsed, err := model.ParseARN(named.ARN())
		if err != nil {
			v.t.Fatal(err)
		}
		name, none = parsed.ID, "absent"
	}
	v.has[kind.Service+":"+kind.Type], v.lacks[kind.Service+":"+kind.Type] = name, none
}

// parts gives parts of rows the ids that requests name them by.
func (v *village) parts(row any, id string, number int) {
	name := func(kind, prefix string) string {
		v.has[kind], v.lacks[kind] = prefix+id, prefix+fmt.Sprintf("%017x", number+1)
		return prefix + id
	}
	switch row := row.(type) {
	case *model.SecurityGroup:
		row.Rules[0].ID = name("ec2:security-group-rule", "sgr-")
	case *model.VPC:
		row.CIDRs[0].ID = name("vpc-cidr-assoc-", "vpc-cidr-assoc-")
	case *model.Subnet:
		row.CIDR6.ID = name("subnet-cidr-assoc-", "subnet-cidr-assoc-")
	case *model.ElasticAddress:
		row.Association = name("eipassoc-", "eipassoc-")
	case *model.ZoneChange:
		row.ID = name("route53:change", "C")
	}
}

// associations are the prefixes of ids that rows without tags have, by their tables.
var associations = map[string]string{"route-table-association": "rtbassoc-", "network-acl-association": "aclassoc-", "access-key": "AKIA"}

// formed are identifiers that some operations want of a kind that the victim has none of, or
// that are in other rows, by operation and member.
var formed = map[string]string{
	"iam:GetAccessKeyLastUsed.AccessKeyId":           "AKIA",
	"ec2:DisassociateRouteTable.AssociationId":       "rtbassoc-",
	"ec2:ReplaceRouteTableAssociation.AssociationId": "rtbassoc-",
	"ec2:ReplaceNetworkAclAssociation.AssociationId": "aclassoc-",
	"ec2:DisassociateSubnetCidrBlock.AssociationId":  "subnet-cidr-assoc-",
	"ec2:DisassociateVpcCidrBlock.AssociationId":     "vpc-cidr-assoc-",
	"ec2:EnableVgwRoutePropagation.GatewayId":        "vgw-",
	"ec2:DisableVgwRoutePropagation.GatewayId":       "vgw-",
	"ec2:DisassociateAddress.AssociationId":          "eipassoc-",
}

func taggedBy(table string) *state.Tagged {
	for _, service := range []string{state.EC2, state.Lattice, state.Route53, state.IAM, state.RAM} {
		for _, k := range state.TaggedIn(service) {
			if k.Table == table && k.Type != "security-group-rule" {
				return k
			}
		}
	}
	return nil
}

// fillRow gives values to all fields of a row.
func fillRow(f reflect.Value, name, id, region string) {
	switch f.Interface().(type) {
	case time.Time:
		f.Set(reflect.ValueOf(servicetest.Now))
		if name == "DeletedAt" {
			f.SetZero()
		}
		return
	case netip.Addr:
		f.Set(reflect.ValueOf(netip.MustParseAddr("10.77.0.1")))
		return
	case netip.Prefix:
		f.Set(reflect.ValueOf(netip.MustParsePrefix("10.77.0.0/16")))
		return
	}
	switch f.Kind() {
	case reflect.String:
		value := map[string]string{"Account": victim, "Region": region, "ID": id, "Path": "/"}[name]
		if _, set := map[string]bool{"Account": true, "Region": true, "ID": true, "Path": true}[name]; !set {
			value = canary
		}
		f.SetString(value)
	case reflect.Bool:
		f.SetBool(false)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.SetUint(7)
	case reflect.Struct:
		for i := range f.NumField() {
			fillRow(f.Field(i), f.Type().Field(i).Name, id, region)
		}
	case reflect.Slice:
		f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		fillRow(f.Index(0), "", id, region)
	case reflect.Map:
		f.Set(reflect.MakeMap(f.Type()))
		key, value := reflect.New(f.Type().Key()).Elem(), reflect.New(f.Type().Elem()).Elem()
		fillRow(key, "", id, region)
		fillRow(value, "", id, region)
		f.SetMapIndex(key, value)
	case reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		fillRow(f.Elem(), name, id, region)
	}
}

// key makes a key that lasts, of a user of the account or of the account itself.
func (v *village) key(of, user string) *client.Client {
	v.t.Helper()
	key, secret, err := account.NewKey(v.world.Env, of)
	if err != nil {
		v.t.Fatal(err)
	}
	key.User, key.ARN, key.UserID = user, "arn:aws:iam::"+of+":user/admin", "AIDAADMIN"
	if _, err := v.world.DB.Update(v.t.Context(), func(tx *table.Txn) error {
		if user == "" {
			state.Accounts.Put(tx, &model.Account{ID: of})
		} else {
			state.Users.Put(tx, &model.User{Meta: model.Meta{Account: of, ID: user}, Name: "nobody", Path: "/"})
		}
		state.AccessKeys.Put(tx, key)
		return nil
	}); err != nil {
		v.t.Fatal(err)
	}
	return client.New(v.url, servicetest.Region, key.ID, secret)
}

// naming is a member of an input that names something, and what it is called there.
type naming struct {
	path      []int
	is, isNot string
}

// names gives the members of an operation that name something of which the victim has one.
func (v *village) names(svc *schema.Service, op *schema.Operation) (all []naming) {
	add := func(path []int, k *access.Kind) {
		kind := k.Service + ":" + k.Type
		if v.has[kind] == "" {
			return
		}
		member, byARN := memberAt(op, path), regexp.MustCompile("(Arn|ARN|Arns|Identifier)$").MatchString
		if !byARN(member) || strings.HasSuffix(member, "Identifier") {
			all = append(all, naming{path, v.has[kind], v.lacks[kind]})
		}
		if !byARN(member) {
			return
		}
		region := servicetest.Region
		if k.NoRegion {
			region = ""
		}
		arn := func(id string) string { return model.ARN(k.Service, region, victim, k.Type+"/"+id) }
		all = append(all, naming{path, arn(v.has[kind]), arn(v.lacks[kind])})
	}
	for i := range op.Input.Members {
		if prefix := formed[svc.Name+":"+op.Name+"."+op.Input.Members[i].Name]; prefix != "" {
			if v.has[prefix] == "" {
				v.has[prefix], v.lacks[prefix] = prefix+mark+"00000", prefix+"00000000000000000"
			}
			all = append(all, naming{[]int{i}, v.has[prefix], v.lacks[prefix]})
		}
	}
	var known []*access.Kind
	for _, need := range access.Services[svc.Name].Operations[op.Name].Needs {
		for _, target := range need.Targets {
			for _, k := range target.Kinds {
				if target.Path != nil && formed[svc.Name+":"+op.Name+"."+memberAt(op, target.Path)] == "" {
					add(target.Path, k)
				}
			}
		}
	}
	for _, name := range []string{svc.Name, "ec2"} {
		for _, other := range access.Services[name].Operations {
			for _, need := range other.Needs {
				for _, target := range need.Targets {
					known = append(known, target.Kinds...)
				}
			}
		}
	}
	for i := range op.Input.Members {
		shape := op.Input.Members[i].Shape
		for shape.Kind == schema.List {
			shape = shape.Element.Shape
		}
		if k := kindByName(op.Input.Members[i].Name, known); k != nil && shape.Kind == schema.String {
			add([]int{i}, k)
		}
	}
	return all
}

// memberAt is what the member at the end of a path is called.
func memberAt(op *schema.Operation, path []int) string {
	shape, name := op.Input, ""
	for _, index := range path {
		for shape.Kind == schema.List {
			shape = shape.Element.Shape
		}
		for i := range shape.Members {
			if m := &shape.Members[i]; m.Index == index {
				name, shape = m.Name, m.Shape
				break
			}
		}
	}
	return name
}

// input makes an input whose required members name nothing that is there.
func (v *village) input(op *schema.Operation, names []naming) any {
	in := inputtest.Smallest(v.t, op)
	for _, n := range names {
		for i := range op.Input.Members {
			if m := &op.Input.Members[i]; m.Required && m.Index == n.path[0] {
				inputtest.Set(reflect.ValueOf(in), n.path, strings.Replace(n.isNot, "absent", "neither", 1))
			}
		}
	}
	return in
}

// kindByName finds what lists of ids are of, by what their members are called.
func kindByName(member string, known []*access.Kind) *access.Kind {
	name, ids := strings.CutSuffix(strings.ToLower(member), "ids")
	if !ids {
		name = strings.TrimSuffix(name, "id")
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, "identifier"), "arn")
	if synonym := map[string]string{"group": "securitygroup", "allocation": "elasticip"}[name]; synonym != "" {
		name = synonym
	}
	for _, k := range known {
		if strings.ReplaceAll(k.Type, "-", "") == name {
			return k
		}
	}
	return nil
}

// send sends a request and gives status and body.
func (v *village) send(c *client.Client, svc *schema.Service, op *schema.Operation, in any) (int, string) {
	v.t.Helper()
	request, err := c.NewRequest(v.t.Context(), svc, op.Name, in)
	if err != nil {
		v.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer.StatusCode, string(body) + fmt.Sprint(answer.Header["X-Amzn-Errortype"])
}

// chance is what is different each time.
var chance = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|Encoded authorization failure message: [-\w]+`)

// said are ARNs of what the victim does not have.
var said = regexp.MustCompile(`arn:aws:[-a-z0-9]+:[-a-z0-9]*:` + victim + `:[-a-z]+/([a-z]+-)?000000000[0-9a-f]+|arn:aws:iam::` + victim + `:[a-z]+/(absent|neither)`)

// told gives an answer without what the request said itself and what is chance.
func told(body, name string) string {
	body = chance.ReplaceAllString(body, "CHANCE")
	return strings.ReplaceAll(body, name, "NAME")
}

// TestStrangersLearnNothing walks all that is served, as somebody from another account and
// as a user who has no rights. An account has a row in every table; no answer has anything
// of it, naming something of the account is answered as naming nothing is, and the rows
// stay what they are. Who has no rights is denied everything.
func TestStrangersLearnNothing(t *testing.T) {
	v := newVillage(t)
	callers := map[string]*client.Client{"stranger": v.key(stranger, ""), "nobody": v.key(victim, "AIDANOBODY")}
	before := v.rows()
	asked := map[string]bool{}
	for _, svc := range v.services {
		for _, op := range svc.Operations {
			for who, c := range callers {
				names := v.names(svc, op)
				v.plain(c, svc, op, who, v.input(op, names))
				for _, n := range names {
					if is, isNot := v.input(op, names), v.input(op, names); v.put(op, is, n.path, n.is) && v.put(op, isNot, n.path, n.isNot) {
						asked[svc.Name+":"+op.Name] = true
						v.compare(c, svc, op, who, n, is, isNot)
					}
				}
			}
		}
	}
	if after := v.rows(); !maps.Equal(before, after) {
		t.Error("the victim's rows are not what they were")
	}
	if len(asked) < 140 {
		t.Errorf("only %d operations were asked about something by its name: %v", len(asked), slices.Sorted(maps.Keys(asked)))
	}
}

// put names something in an input; false says that the input is none then.
func (v *village) put(op *schema.Operation, in any, path []int, name string) bool {
	inputtest.Set(reflect.ValueOf(in), path, name)
	return len(validate.Input(op, in)) == 0
}

// plain sends a request that names nothing of the victim's.
func (v *village) plain(c *client.Client, svc *schema.Service, op *schema.Operation, who string, in any) {
	status, body := v.send(c, svc, op, in)
	v.check(svc, op, who, "", status, body)
}

func (v *village) compare(c *client.Client, svc *schema.Service, op *schema.Operation, who string, n naming, is, isNot any) {
	isStatus, isBody := v.send(c, svc, op, is)
	notStatus, notBody := v.send(c, svc, op, isNot)
	v.check(svc, op, who, n.is, isStatus, isBody)
	isBody, notBody = told(isBody, n.is), told(notBody, n.isNot)
	if isStatus != notStatus || isStatus >= 300 && isBody != notBody {
		v.t.Errorf("%s:%s tells a %s whether %s is there:\n%d %s\n%d %s", svc.Name, op.Name, who, n.is, isStatus, isBody, notStatus, notBody)
	}
}

// common tells what all accounts have in common: which organization they are in.
var common = []string{"organizations:DescribeOrganization"}

// check looks for anything of the victim's in an answer.
func (v *village) check(svc *schema.Service, op *schema.Operation, who, name string, status int, body string) {
	free := access.Services[svc.Name].Operations[op.Name].Free
	if who == "nobody" {
		if !free && (status < 400 || !regexp.MustCompile("UnauthorizedOperation|AccessDenied").MatchString(body)) {
			v.t.Errorf("%s:%s lets somebody without rights: %d %s", svc.Name, op.Name, status, body)
		}
	}
	if status >= 500 {
		v.t.Errorf("%s:%s for a %s: %d %s", svc.Name, op.Name, who, status, body)
	}
	if name != "" {
		body = strings.ReplaceAll(body, name, "")
	}
	body = said.ReplaceAllString(body, "") // what requests name that is not there
	if who == "nobody" {
		body = strings.ReplaceAll(body, victim, "") // it is its own
	}
	if slices.Contains(common, svc.Name+":"+op.Name) {
		return
	}
	for _, secret := range []string{canary, mark, "10.77.", victim} {
		if strings.Contains(body, secret) {
			v.t.Errorf("%s:%s tells a %s %q: %s", svc.Name, op.Name, who, secret, body)
		}
	}
}

// rows gives the victim's rows, but for those that say how keys are used.
func (v *village) rows() map[string]string {
	rows := v.world.Dump(v.t)
	maps.DeleteFunc(rows, func(key, value string) bool {
		return !strings.Contains(key+value, victim) || strings.Contains(key, "/last-use/")
	})
	return rows
}
