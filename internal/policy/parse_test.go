// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/policytest"
)

// TestRefused reads the texts of testdata/refused.txt and wants the answers there.
func TestRefused(t *testing.T) {
	source, err := os.ReadFile("testdata/refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(source), "\n")
	var n int
	for i, line := range lines {
		name, text, _ := strings.Cut(line, " ")
		kind, ok := policytest.Kind(name)
		if !ok {
			continue
		}
		want, found := strings.CutPrefix(lines[i+1], "=>")
		if !found {
			t.Fatalf("line %d has no answer", i+1)
		}
		n++
		got := ""
		if _, err := policy.Parse(kind, text); err != nil {
			got = err.Error()
		}
		if got != strings.TrimSpace(want) {
			t.Errorf("line %d: %s %s:\n got %s\nwant %s", i+1, name, text, got, strings.TrimSpace(want))
		}
	}
	if n < 100 {
		t.Errorf("%d texts: the file is not whole", n)
	}
}

// TestHostileTextsAreRefused reads what nobody writes by hand.
func TestHostileTextsAreRefused(t *testing.T) {
	const all = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	for name, text := range map[string]string{
		"too long":             all[:len(all)-1] + strings.Repeat(" ", policy.Longest) + "}",
		"deep lists":           strings.Repeat("[", 60000),
		"deep objects":         strings.Repeat(`{"Statement":`, 10000),
		"deep in a statement":  `{"Statement":{"Effect":"Allow","Action":` + strings.Repeat("[", 50000) + strings.Repeat("]", 50000) + `,"Resource":"*"}}`,
		"no text at all":       "\x00\x01\x02",
		"half a character":     strings.Replace(all, "Allow", "All\xffow", 1),
		"a byte order mark":    "\ufeff" + all,
		"many members":         `{` + strings.Repeat(`"Version":"2012-10-17",`, 5000) + `"Statement":[]}`,
		"a control character":  strings.Replace(all, "Allow", "Al\nlow", 1),
		"numbers without end":  `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"aws:x":1e999999}}}}`,
		"a name that is empty": `{"":"2012-10-17"}`,
		"much to search for":   strings.Replace(all, `"Resource":"*`, `"Resource":"arn:aws:ec2:*:*:*`+strings.Repeat("?a", 600)+"*", 1),
		"much in conditions":   strings.Replace(all, `"Resource":"*"`, `"Resource":"*","Condition":{"StringLike":{"aws:x":["*`+strings.Repeat(`?a*","*`, 600)+`"]}}`, 1),
		"a long resource":      strings.Replace(all, `"Resource":"*`, `"Resource":"`+strings.Repeat("x", 100000), 1),
		"a long partition":     strings.Replace(all, `"Resource":"*`, `"Resource":"arn:`+strings.Repeat("x", 100000), 1),
		"a long service":       strings.Replace(all, `"Action":"*`, `"Action":"`+strings.Repeat("ö", 50000)+":x", 1),
		"a long action":        strings.Replace(all, `"Action":"*`, `"Action":"ec2:`+strings.Repeat("ö", 50000), 1),
		"a long element":       strings.Replace(all, `"Action"`, `"`+strings.Repeat("ö", 50000)+`"`, 1),
	} {
		if d, err := policy.Parse(policy.Identity, text); err == nil {
			t.Errorf("%s: read as %s", name, d)
		} else if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
			t.Errorf("%s: the error is %q", name, err)
		}
	}
}

// TestLongPoliciesAreRead reads what is as long as can be.
func TestLongPoliciesAreRead(t *testing.T) {
	const head, tail = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":["*"`, `]}}`
	const one = `,"arn:aws:ec2:*:*:vpc/*"`
	text := head + strings.Repeat(one, (policy.Longest-len(head)-len(tail))/len(one)) + tail
	text += strings.Repeat(" ", policy.Longest-len(text))
	if _, err := policy.Parse(policy.Identity, text); err != nil {
		t.Errorf("a policy of %d characters: %v", len(text), err)
	}
	// Characters count, not bytes.
	id := strings.Repeat("é", policy.Longest-100)
	text = `{"Id":"` + id + `","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	if _, err := policy.Parse(policy.Identity, text); err != nil {
		t.Errorf("a policy of %d bytes: %.200v", len(text), err)
	}
}

// TestQuestionMarksAreForgivenWhereTheyCostNothing reads many that are in their place.
func TestQuestionMarksAreForgivenWhereTheyCostNothing(t *testing.T) {
	for _, resource := range []string{strings.Repeat("?", 2000), strings.Repeat("?", 1000) + "*", "*" + strings.Repeat("a?", 1000), "*" + strings.Repeat("?", 500) + "*"} {
		text := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:ec2:us-east-1:111122223333:` + resource + `"}}`
		if _, err := policy.Parse(policy.Identity, text); err != nil {
			t.Errorf("%.20s…: %v", resource, err)
		}
	}
}

// TestSizeLeavesOutWhiteSpace counts as IAM's quotas do.
func TestSizeLeavesOutWhiteSpace(t *testing.T) {
	if got := policy.Size("{ \"é\" :\r\n\t1 }"); got != 7 {
		t.Errorf("size is %d, want 7", got)
	}
}
