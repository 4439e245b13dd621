package api

import (
	"strconv"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

// FuzzParseSequence checks that a cursor has one spelling only, so that what was sent is
// what comes back.
func FuzzParseSequence(f *testing.F) {
	for _, seed := range []string{"", "0", "4711", "00", "+1", "-1", "18446744073709551615", "18446744073709551616", "1e3", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		seq, err := parseSequence("query.after", text)
		p, refused := err.(*gate.Problem)
		switch {
		case err == nil && text != "" && strconv.FormatUint(seq, 10) != text:
			t.Errorf("%q was read as %d", text, seq)
		case err != nil && (!refused || p.Status != 422 || seq != 0):
			t.Errorf("%q was refused with %v", text, err)
		}
	})
}

// FuzzBearer checks that what is taken for a token stands in the field, alone.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  abc", "Bearer", "Basic abc", "Bearer a b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, p := bearer(header)
		if (token == "") == (p == nil) {
			t.Fatalf("%q gave %q and %v", header, token, p)
		}
		if p == nil && (!strings.HasSuffix(header, token) || !strings.EqualFold(header[:7], "Bearer ") || token[0] == ' ') {
			t.Errorf("%q gave %q", header, token)
		}
	})
}
