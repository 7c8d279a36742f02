// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/aws/schema"
)

// SetScalar parses text as a value of member m and stores it in v, a field of a
// structure or an element. parameter names the value in errors.
func SetScalar(v reflect.Value, m *schema.Member, text, parameter string) error {
	fail := func(detail string) error {
		return &Error{Problem: WrongType, Parameter: parameter, Detail: detail}
	}
	switch m.Shape.Kind {
	case schema.String:
		Settable(v).SetString(m.Shape.Canonical(text))
	case schema.Integer, schema.Long:
		bits, what := 32, "is not an integer of 32 bits"
		if m.Shape.Kind == schema.Long {
			bits, what = 64, "is not an integer of 64 bits"
		}
		n, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			return fail(what)
		}
		Settable(v).SetInt(n)
	case schema.Float, schema.Double:
		f, err := parseFloat(text)
		if err != nil {
			return fail("is not a number")
		}
		Settable(v).SetFloat(f)
	case schema.Boolean:
		switch strings.ToLower(text) {
		case "true":
			Settable(v).SetBool(true)
		case "false":
			Settable(v).SetBool(false)
		default:
			return fail("is neither true nor false")
		}
	case schema.Timestamp:
		t, err := ParseTime(text, m.TimestampFormat)
		if err != nil {
			return fail("is not a time of the form " + m.TimestampFormat)
		}
		Settable(v).Set(reflect.ValueOf(t))
	case schema.Blob:
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fail("is not base64")
		}
		v.SetBytes(data)
	default:
		return fail("is a " + m.Shape.Kind.String() + ", not a single value")
	}
	return nil
}

// parseFloat takes decimal notation and the three names of the AWS protocols.
func parseFloat(text string) (float64, error) {
	switch text {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if strings.Trim(text, "+-.0123456789eE") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

// ScalarText returns the text form of v, a set field or an element, as member m.
func ScalarText(v reflect.Value, m *schema.Member) string {
	if m.Shape.Kind == schema.Blob {
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	v = Deref(v)
	switch m.Shape.Kind {
	case schema.Integer, schema.Long:
		return strconv.FormatInt(v.Int(), 10)
	case schema.Float, schema.Double:
		return formatFloat(v.Float())
	case schema.Boolean:
		return strconv.FormatBool(v.Bool())
	case schema.Timestamp:
		return FormatTime(timeIn(v), m.TimestampFormat)
	}
	return v.String()
}

// AppendTimestamp appends the text form of v, a set field or an element, as member m,
// which is a time.
func AppendTimestamp(b []byte, v reflect.Value, m *schema.Member) []byte {
	return appendTime(b, timeIn(Deref(v)), m.TimestampFormat)
}

func timeIn(v reflect.Value) time.Time {
	if v.CanAddr() { // then nothing is copied to the heap
		return *v.Addr().Interface().(*time.Time)
	}
	return v.Interface().(time.Time)
}

func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

const isoMillis = "2006-01-02T15:04:05.000Z"

// rfc822 is http.TimeFormat; with fractions on input, which Go takes anyway.
const rfc822 = "Mon, 02 Jan 2006 15:04:05 GMT"

// FormatTime writes a time in one of the formats of package schema, to the
// millisecond (RFC822: to the second), in UTC.
func FormatTime(t time.Time, format string) string { return string(appendTime(nil, t, format)) }

func appendTime(b []byte, t time.Time, format string) []byte {
	t = t.UTC()
	switch format {
	case schema.RFC822:
		return t.AppendFormat(b, rfc822)
	case schema.UnixTimestamp:
		seconds, millis := t.Unix(), t.Nanosecond()/int(time.Millisecond)
		if millis == 0 {
			return strconv.AppendInt(b, seconds, 10)
		}
		return strconv.AppendFloat(b, float64(seconds)+float64(millis)/1000, 'f', 3, 64)
	}
	return appendMillis(b, t)
}

// appendMillis is t.AppendFormat(before, "2006-01-02T15:04:05.000Z") for a time in UTC, which
// is in most answers and for which the general form takes long.
func appendMillis(before []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(before, isoMillis)
	}
	hour, minute, second := t.Clock()
	all := append(before, isoMillis...)
	b := all[len(before):]
	for _, part := range []struct{ at, digits, value int }{
		{0, 4, year}, {5, 2, int(month)}, {8, 2, day}, {11, 2, hour}, {14, 2, minute}, {17, 2, second},
		{20, 3, t.Nanosecond() / int(time.Millisecond)},
	} {
		for i := part.at + part.digits - 1; i >= part.at; i-- {
			b[i] = byte('0' + part.value%10)
			part.value /= 10
		}
	}
	return all
}

// ParseTime reads a time in one of the formats of package schema and returns it
// in UTC. The years 1 to 9999 are accepted, which is what can be written again.
func ParseTime(text, format string) (time.Time, error) {
	var t time.Time
	var err error
	switch format {
	case schema.RFC822:
		t, err = time.Parse(rfc822, text)
	case schema.UnixTimestamp:
		t, err = parseUnix(text)
	default:
		t, err = time.Parse(time.RFC3339Nano, text)
	}
	if err != nil {
		return time.Time{}, err
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, fmt.Errorf("parse time %q: year out of range", text)
	}
	return t, nil
}

func parseUnix(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	f, err := parseFloat(text)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e12 {
		return time.Time{}, fmt.Errorf("parse time %q: %w", text, strconv.ErrSyntax)
	}
	return time.UnixMilli(int64(math.Round(f * 1000))), nil
}
