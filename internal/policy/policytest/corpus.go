// SPDX-License-Identifier: Apache-2.0

// Package policytest has what is known of how policies decide, as text: a corpus of
// questions with their answers, one file for each family of rules, in folder corpus.
// README.md there says how it is written. Tests of package policy read it, and tool/simulate
// asks AWS the same.
package policytest

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/posternhq/postern/internal/policy"
)

//go:embed corpus/*.txt
var files embed.FS

// Account is whose the principals and resources of the corpus are, where nothing
// else is said.
const Account = "111122223333"

// Policy is a policy of a case.
type Policy struct {
	// Layer is identity, boundary, session, control, resource, trust, grant or endpoint, and Level
	// the level of a control.
	Layer, Level string
	// Text is empty for a policy that cannot be read.
	Text string
}

// Ask is one question with its answer.
type Ask struct {
	// Where is file and line, and Name what the case is about.
	Where, Name string
	Policies    []Policy
	// As is the principal: root, user NAME, role NAME/SESSION, federated NAME or
	// service NAME, with an account where it is another one than Account.
	As, Account string
	// Owner is the account of the resource, empty for the principal's.
	Owner            string
	Action, Resource string
	Context          Keys
	// Want is allowed, implicitDeny or explicitDeny, and WantLayer the layer that decides.
	Want, WantLayer string
	// statement is asked as an Allow and as a Deny.
	statement map[string]any
}

// Keys are condition keys with their values.
type Keys map[string][]string

// Values makes Keys a policy.Context.
func (k Keys) Values(key string) ([]string, bool) {
	values, present := k[key]
	return values, present
}

// Asks reads the corpus.
func Asks() ([]Ask, error) {
	var all []Ask
	names, err := fs.Glob(files, "corpus/*.txt")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		source, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		asks, err := read(strings.TrimPrefix(name, "corpus/"), string(source))
		if err != nil {
			return nil, err
		}
		all = append(all, asks...)
	}
	return all, nil
}

// read reads one file: words at the beginnings of lines say what follows.
func read(name, source string) ([]Ask, error) {
	var asks []Ask
	current := Ask{}
	for i, line := range strings.Split(source, "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		where := fmt.Sprintf("%s:%d", name, i+1)
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		if word == "ask" || word == "given" {
			made, err := current.asks(word, rest)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", where, err)
			}
			for j := range made {
				made[j].Where = where
			}
			asks = append(asks, made...)
			continue
		}
		if err := current.say(word, rest); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	return asks, nil
}

// say takes a line that is no question.
func (a *Ask) say(word, rest string) error {
	switch word {
	case "case":
		*a = Ask{Name: rest, As: "user ann", Account: Account, Action: "ec2:DescribeVpcs", Resource: "*"}
	case "as":
		if who, account, found := strings.Cut(rest, " of "); found {
			rest, a.Account = who, account
		}
		a.As = rest
	case "owner":
		a.Owner = rest
	case "about":
		var ok bool
		if a.Action, a.Resource, ok = strings.Cut(rest, " "); !ok {
			return fmt.Errorf("about %q: want an action and a resource", rest)
		}
	case "when":
		return a.partial(`{"Condition":` + rest + `}`)
	case "statement":
		return a.partial(rest)
	case "identity", "boundary", "session", "resource", "trust", "grant", "endpoint", "control":
		level := ""
		if word == "control" {
			level, rest, _ = strings.Cut(rest, " ")
		}
		text, err := document(rest)
		// A copy, for the asks that were made have the list as it was.
		a.Policies = append(a.Policies[:len(a.Policies):len(a.Policies)], Policy{word, level, text})
		return err
	default:
		return fmt.Errorf("there is no line that begins with %q", word)
	}
	return nil
}

func (a *Ask) partial(source string) error {
	a.statement = map[string]any{"Action": "*", "Resource": "*"}
	if err := json.Unmarshal([]byte(source), &a.statement); err != nil {
		return err
	}
	for _, element := range []string{"Action", "Resource"} {
		if a.statement["Not"+element] != nil {
			delete(a.statement, element)
		}
	}
	return nil
}

// document makes a policy of statements: what begins with "old" has no version.
func document(rest string) (string, error) {
	switch {
	case rest == "unreadable":
		return "", nil
	case rest == "all":
		rest = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	}
	rest, old := strings.CutPrefix(rest, "old ")
	if !json.Valid([]byte(rest)) {
		return "", fmt.Errorf("%q is no json", rest)
	}
	if old {
		return `{"Statement":` + rest + `}`, nil
	}
	return `{"Version":"2012-10-17","Statement":` + rest + `}`, nil
}

// asks makes the questions of a line: one, or that of an Allow and that of a Deny.
func (a *Ask) asks(word, rest string) ([]Ask, error) {
	left, right, ok := strings.Cut(rest, " => ")
	if !ok {
		return nil, fmt.Errorf("%q has no answer", rest)
	}
	made := *a
	left = strings.TrimSpace(left)
	if word == "ask" {
		fields := strings.SplitN(left, " ", 3)
		if len(fields) < 2 {
			return nil, fmt.Errorf("%q: want an action and a resource", left)
		}
		made.Action, made.Resource = fields[0], fields[1]
		left = strings.Join(fields[2:], "")
	}
	if left != "" {
		var err error
		if made.Context, err = keys(left); err != nil {
			return nil, err
		}
	}
	answer := strings.Fields(right)
	if a.statement == nil {
		if len(answer) != 2 {
			return nil, fmt.Errorf("answer %q: want an outcome and a layer", right)
		}
		made.Want, made.WantLayer = answer[0], answer[1]
		return []Ask{made}, nil
	}
	return made.pair(right)
}

func (a *Ask) pair(answer string) ([]Ask, error) {
	allow, deny := *a, *a
	a.statement["Effect"] = "Allow"
	grants, err := json.Marshal(a.statement)
	if err != nil {
		return nil, err
	}
	a.statement["Effect"] = "Deny"
	denies, err := json.Marshal(a.statement)
	if err != nil {
		return nil, err
	}
	const head = `{"Version":"2012-10-17","Statement":[`
	all := `{"Effect":"Allow","Action":"*","Resource":"*"},`
	allow.Policies = []Policy{{Layer: "identity", Text: head + string(grants) + "]}"}}
	deny.Policies = []Policy{{Layer: "identity", Text: head + all + string(denies) + "]}"}}
	allow.WantLayer, deny.WantLayer = "identity", "identity"
	switch answer {
	case "met":
		allow.Want, deny.Want = "allowed", "explicitDeny"
	case "unmet":
		allow.Want, deny.Want = "implicitDeny", "allowed"
	case "undecided":
		allow.Want, deny.Want = "implicitDeny", "explicitDeny"
	default:
		return nil, fmt.Errorf("answer %q: want met, unmet or undecided", answer)
	}
	return []Ask{allow, deny}, nil
}

// keys reads an object whose values are a string or a list of strings.
func keys(source string) (Keys, error) {
	var raw map[string]any
	if err := json.Unmarshal([]byte(source), &raw); err != nil {
		return nil, fmt.Errorf("context %s: %w", source, err)
	}
	k := Keys{}
	for key, v := range raw {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		values := make([]string, len(list))
		for i := range list {
			if values[i], ok = list[i].(string); !ok {
				return nil, fmt.Errorf("context %s: %s is no string", source, key)
			}
		}
		k[strings.ToLower(key)] = values
	}
	return k, nil
}

// layers are those of package policy by the names that the corpus has.
var layers = map[string]policy.Layer{
	"identity": policy.IdentityPolicy, "boundary": policy.BoundaryPolicy, "session": policy.SessionPolicy, "control": policy.ControlPolicy,
	"resource": policy.ResourcePolicy, "trust": policy.TrustPolicy, "grant": policy.SharePolicy, "endpoint": policy.EndpointPolicy, "none": policy.NoLayer,
}
