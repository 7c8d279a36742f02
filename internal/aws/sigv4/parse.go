// SPDX-License-Identifier: Apache-2.0

// Package sigv4 verifies AWS Signature Version 4 on the server's side: the
// form with an Authorization header and the presigned form with query
// parameters, as "Create a signed AWS API request" in the IAM User Guide
// specifies them.
//
// Verification has two steps, because the caller must find the secret in
// between: Parse says which key a request claims, Verifier.Verify checks the
// claim. Only then is anything in the request to be believed.
//
// A signature is good for five minutes either way (a presigned one for as long
// as it says). Within that time the same bytes can be sent again, as on AWS;
// operations that must happen once carry a client token.
package sigv4

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"

	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"

	// MaxSkew is how far the clocks of client and server may be apart.
	MaxSkew = 5 * time.Minute
	// defaultExpiry holds for presigned requests that name no duration, as with
	// those that the SDKs make for STS.
	defaultExpiry = 15 * time.Minute
	maxExpiry     = 7 * 24 * time.Hour

	maxScopePart = 128
)

// Signature is what a request says about its own signature. Nothing of it is
// proven before Verifier.Verify returns nil.
type Signature struct {
	AccessKeyID string
	Region      string
	Service     string
	// Token is the session token, empty for long-term keys.
	Token string
	// Time is when the request was signed, to the second.
	Time time.Time
	// Presigned tells the query form from the header form.
	Presigned bool
	// Expires is how long a presigned request is good after Time.
	Expires time.Duration

	date          string // of the credential scope
	timestamp     string // Time as it goes into the string to sign
	scope         string // date/region/service/aws4_request
	signedHeaders string // as sent: lower case, sorted, joined by semicolons
	signature     string // hexadecimal
}

// Parse reads the authentication of a request from its Authorization header or
// from its query. All errors are *Error with reason Missing or Malformed.
func Parse(r *http.Request) (*Signature, error) {
	s := new(Signature)
	if err := s.Parse(r); err != nil {
		return nil, err
	}
	return s, nil
}

// Parse is Parse for a signature whose room is there, and which is zero.
func (s *Signature) Parse(r *http.Request) error {
	headers := r.Header["Authorization"]
	presigned := strings.Contains(r.URL.RawQuery, "X-Amz-")
	var query url.Values
	var err error
	if presigned {
		if query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return malformed("The query string of the request cannot be parsed.")
		}
		presigned = query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature")
	}
	switch {
	case len(headers) == 0 && !presigned:
		return &Error{Reason: Missing, Message: "Request is missing Authentication Token"}
	case len(headers) > 1, len(headers) == 1 && presigned:
		return malformed("Only one way to authenticate a request is allowed.")
	}
	if s.Presigned = presigned; presigned {
		err = s.parseQuery(query)
	} else {
		err = s.parseHeader(r, headers[0])
	}
	if err != nil {
		return err
	}
	return s.checkHeadersSigned(r)
}

func (s *Signature) parseHeader(r *http.Request, authorization string) error {
	credential, err := s.parseAuthorization(authorization)
	if err != nil {
		return err
	}
	name, value := "x-amz-date", r.Header.Get("X-Amz-Date")
	if value == "" {
		name, value = "date", r.Header.Get("Date")
	}
	if err := s.parseParts(credential, value); err != nil {
		return err
	}
	if !s.signs(name) {
		return malformed("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
	}
	s.Token = r.Header.Get("X-Amz-Security-Token")
	return nil
}

func (s *Signature) parseQuery(query url.Values) error {
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature",
	} {
		if len(query[name]) != 1 || query[name][0] == "" {
			return malformed("AWS query-string parameters must include '%s' once.", name)
		}
	}
	if got := query.Get("X-Amz-Algorithm"); got != algorithm {
		return malformed("Unsupported AWS 'algorithm': '%s'.", clip(got))
	}
	s.signedHeaders, s.signature = query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature")
	if err := s.parseParts(query.Get("X-Amz-Credential"), query.Get("X-Amz-Date")); err != nil {
		return err
	}
	s.Token = query.Get("X-Amz-Security-Token")
	s.Expires = defaultExpiry
	if query.Has("X-Amz-Expires") {
		seconds, err := strconv.ParseUint(query.Get("X-Amz-Expires"), 10, 32)
		if err != nil || seconds == 0 || seconds > uint64(maxExpiry/time.Second) {
			return malformed("X-Amz-Expires must be a number of seconds between 1 and %d.", maxExpiry/time.Second)
		}
		s.Expires = time.Duration(seconds) * time.Second
	}
	return nil
}

// parseParts reads what both forms have in the same notation.
func (s *Signature) parseParts(credential, date string) error {
	if err := s.parseCredential(credential); err != nil {
		return err
	}
	if err := s.parseSignedHeaders(); err != nil {
		return err
	}
	return s.parseTime(date)
}

// parseAuthorization splits the header into its three parts, each of which must
// be there once, and returns the credential.
func (s *Signature) parseAuthorization(header string) (credential string, err error) {
	name, rest, _ := strings.Cut(header, " ")
	if name != algorithm {
		return "", malformed("Unsupported AWS 'algorithm': '%s'.", clip(name))
	}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var into *string
		switch key {
		case "Credential":
			into = &credential
		case "SignedHeaders":
			into = &s.signedHeaders
		case "Signature":
			into = &s.signature
		default:
			return "", malformed("Authorization header has an unknown parameter '%s'.", clip(key))
		}
		if *into != "" {
			return "", malformed("Authorization header has the parameter '%s' twice.", key)
		}
		*into = value
	}
	switch "" {
	case credential:
		return "", malformed("Authorization header requires 'Credential' parameter.")
	case s.signedHeaders:
		return "", malformed("Authorization header requires 'SignedHeaders' parameter.")
	case s.signature:
		return "", malformed("Authorization header requires 'Signature' parameter.")
	}
	return credential, nil
}

// parseCredential takes ACCESS-KEY/DATE/REGION/SERVICE/aws4_request apart.
func (s *Signature) parseCredential(credential string) error {
	key, scope, _ := strings.Cut(credential, "/")
	date, rest, _ := strings.Cut(scope, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, last, _ := strings.Cut(rest, "/")
	if last != terminator || !isScopePart(key) || !isScopePart(region) || !isScopePart(service) || len(date) != len(dateFormat) {
		return malformed("Credential must have the form ACCESS-KEY-ID/YYYYMMDD/REGION/SERVICE/%s, got '%s'.",
			terminator, clip(credential))
	}
	s.AccessKeyID, s.scope = key, scope
	s.date, s.Region, s.Service = date, region, service
	return nil
}

func isScopePart(s string) bool {
	if s == "" || len(s) > maxScopePart {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isUnreserved(c) {
			return false
		}
	}
	return true
}

// parseSignedHeaders requires the canonical form of the list, because it goes
// into the canonical request as it stands.
func (s *Signature) parseSignedHeaders() error {
	previous := ""
	for name := range strings.SplitSeq(s.signedHeaders, ";") {
		if name <= previous || name != strings.ToLower(name) {
			return malformed("SignedHeaders must be lower case, sorted and without duplicates.")
		}
		previous = name
	}
	if !s.signs("host") {
		return malformed("'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}

func (s *Signature) parseTime(value string) error {
	if value == "" {
		return malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	t, err := time.Parse(timeFormat, value)
	if err != nil {
		t, err = http.ParseTime(value)
	}
	if err != nil {
		return malformed("Date must be in ISO-8601 'basic format'. Got '%s'.", clip(value))
	}
	s.Time = t.UTC()
	if s.timestamp = value; len(value) != len(timeFormat) { // what was read may have had parts of a second
		s.timestamp = s.Time.Format(timeFormat)
	}
	return nil
}

// checkHeadersSigned refuses a request with an X-Amz-… header that is not part
// of the signature: somebody on the way could have added it.
func (s *Signature) checkHeadersSigned(r *http.Request) error {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !s.signsCanonical(name) {
			return malformed("There were headers present in the request which were not signed: '%s'.", clip(name))
		}
	}
	return nil
}

// signsCanonical is signs for a name as the keys of http.Header have it.
func (s *Signature) signsCanonical(header string) bool {
	var room [64]byte
	if len(header) > len(room) {
		return s.signs(strings.ToLower(header))
	}
	for i := range len(header) {
		if room[i] = header[i]; 'A' <= header[i] && header[i] <= 'Z' {
			room[i] += 'a' - 'A'
		}
	}
	for name := range strings.SplitSeq(s.signedHeaders, ";") {
		if name == string(room[:len(header)]) {
			return true
		}
	}
	return false
}

func (s *Signature) signs(header string) bool {
	for name := range strings.SplitSeq(s.signedHeaders, ";") {
		if name == header {
			return true
		}
	}
	return false
}

// clip shortens what a client sent before it goes into a message.
func clip(s string) string {
	const most = 128
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
