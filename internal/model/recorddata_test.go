// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/model"
)

func TestRecordData(t *testing.T) {
	for _, test := range []struct{ kind, value, want string }{
		{"A", "10.0.0.1", "10.0.0.1"},
		{"AAAA", "FD00:0::1", "fd00::1"},
		{"AAAA", "::ffff:10.0.0.1", "::ffff:10.0.0.1"},
		{"CNAME", "WWW.Example.com", "www.example.com."},
		{"NS", "ns.example.com.", "ns.example.com."},
		{"PTR", `\052.example.com`, `\052.example.com.`},
		{"MX", "10   Mail.example.com", "10 mail.example.com."},
		{"MX", "0 .", "0 ."},
		{"SRV", "1 2 5432 db.example.com", "1 2 5432 db.example.com."},
		{"CAA", `0 issue "ca.example.net; a=b"`, `0 issue "ca.example.net; a=b"`},
		{"SOA", "ns.example.com. admin.example.com. 1 7200 900 1209600 86400", "ns.example.com. admin.example.com. 1 7200 900 1209600 86400"},
		{"TXT", `"a b" "c"`, `"a b" "c"`},
		{"TXT", `"a""b"`, `"a" "b"`},
		{"TXT", `"a\"b\\c\040\303\244"`, `"a\"b\\c \303\244"`},
		{"TXT", `""`, `""`},
		{"TXT", `"` + strings.Repeat(`\141`, 255) + `"`, `"` + strings.Repeat("a", 255) + `"`},
	} {
		got, err := model.RecordData(test.kind, test.value)
		if err != nil || got != test.want {
			t.Errorf("%s %s is %q, %v, want %q", test.kind, test.value, got, err, test.want)
		}
		if again, err := model.RecordData(test.kind, got); err != nil || again != got {
			t.Errorf("%s %s again is %q, %v", test.kind, got, again, err)
		}
	}
}

func TestValuesThatAreNone(t *testing.T) {
	for _, test := range []struct{ kind, value, code string }{
		{"A", "", "ARRDATAIllegalIPv4Address"},
		{"A", "10.0.0", "ARRDATAIllegalIPv4Address"},
		{"A", "10.0.0.1 10.0.0.2", "ARRDATAIllegalIPv4Address"},
		{"A", "fd00::1", "ARRDATAIllegalIPv4Address"},
		{"AAAA", "10.0.0.1", "AAAARRDATAIllegalIPv6Address"},
		{"AAAA", "fe80::1%eth0", "AAAARRDATAIllegalIPv6Address"},
		{"CNAME", "", "DomainNameEmpty"},
		{"CNAME", "a..b", "DomainLabelEmpty"},
		{"CNAME", "a b", "UnsupportedCharacter"},
		{"MX", "mail.example.com", "MXRRDATANotTwoFields"},
		{"MX", "65536 mail.example.com", "MXRRDATAIllegalNumber"},
		{"SRV", "1 2 db.example.com", "SRVRRDATANotFourFields"},
		{"SRV", "1 2 -3 db.example.com", "SRVRRDATAIllegalNumber"},
		{"CAA", "0 issue ca.example.net", "InvalidCharacterString"},
		{"CAA", `256 issue "ca"`, "CAARRDATAIllegalNumber"},
		{"CAA", `0 is-sue "ca"`, "CAARRDATAInvalidTag"},
		{"SOA", "ns. admin. 1 2 3 4", "SOARRDATANotSevenFields"},
		{"TXT", "", "InvalidCharacterString"},
		{"TXT", "text", "InvalidCharacterString"},
		{"TXT", `"text`, "InvalidCharacterString"},
		{"TXT", `"text\"`, "InvalidCharacterString"},
		{"TXT", `"a" b`, "InvalidCharacterString"},
		{"TXT", `"ä"`, "UnsupportedCharacter"},
		{"TXT", "\"a\nb\"", "UnsupportedCharacter"},
		{"TXT", `"` + strings.Repeat("a", 256) + `"`, "CharacterStringTooLong"},
	} {
		got, err := model.RecordData(test.kind, test.value)
		var data *model.DataError
		var name *model.NameError
		code := ""
		switch {
		case errors.As(err, &data):
			code = data.Code
		case errors.As(err, &name):
			code = string(name.Problem)
		}
		if code != test.code || got != "" {
			t.Errorf("%s %q is %q, %v, want the problem %s", test.kind, test.value, got, err, test.code)
		}
	}
}

// FuzzRecordData: what is a value has one form, that is its own.
func FuzzRecordData(f *testing.F) {
	for _, kind := range []string{"A", "AAAA", "CNAME", "MX", "TXT", "CAA", "SRV", "SOA"} {
		f.Add(kind, `0 issue "a\"b" \141 10.0.0.1`)
	}
	f.Add("TXT", `"a" "\400\1"`)
	f.Fuzz(func(t *testing.T, kind, value string) {
		if !model.ServedRecordType(kind) {
			return
		}
		form, err := model.RecordData(kind, value)
		if err != nil {
			return
		}
		if again, err := model.RecordData(kind, form); err != nil || again != form {
			t.Errorf("the form of %s %q is %q, and of that %q, %v", kind, value, form, again, err)
		}
	})
}
