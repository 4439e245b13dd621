package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed75a60ee1/patchbay/host/secret"
)

const value = "hunter2-hunter2"

type holder struct {
	Public secret.Text `json:"public"`
	hidden secret.Text
}

func TestTextNeverShowsItsValue(t *testing.T) {
	text := secret.New(value)
	held := holder{Public: text, hidden: text}
	subjects := map[string]any{
		"itself": text, "a pointer": &text, "a struct": held, "a pointer to a struct": &held,
		"a slice": []secret.Text{text}, "a map": map[string]secret.Text{"k": text},
	}
	for name, subject := range subjects {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%08.3f"} {
			t.Run(name+" by "+verb, func(t *testing.T) {
				got := fmt.Sprintf(verb, subject)
				if strings.Contains(got, value) || strings.Contains(got, fmt.Sprintf("%x", value)) {
					t.Errorf("Sprintf(%q) shows the secret: %s", verb, got)
				}
			})
		}
	}
}

func TestTextNeverEncodesItsValue(t *testing.T) {
	text := secret.New(value)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "k", text, "any", holder{Public: text, hidden: text})
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", text, "any", holder{Public: text, hidden: text})
	asJSON, err := json.Marshal(map[string]any{"held": holder{Public: text}, "p": &text})
	if err != nil {
		t.Fatal(err)
	}
	asXML, err := xml.Marshal(holder{Public: text})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"slog": log.String(), "JSON": string(asJSON), "XML": string(asXML)} {
		if strings.Contains(got, value) || !strings.Contains(got, secret.Redacted) {
			t.Errorf("%s is %s, want %s in place of the secret", name, got, secret.Redacted)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		name, held, candidate string
		want                  bool
	}{
		{"the same", value, value, true},
		{"another of the same length", value, "hunter2-hunter3", false},
		{"a prefix", value, "hunter2", false},
		{"nothing against a secret", value, "", false},
		{"nothing against no secret", "", "", false},
		{"something against no secret", "", "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := secret.New(tt.held).Equal(tt.candidate); got != tt.want {
				t.Errorf("New(%q).Equal(%q) = %v, want %v", tt.held, tt.candidate, got, tt.want)
			}
		})
	}
}

func TestRevealReturnsTheValue(t *testing.T) {
	if got := secret.New(value).Reveal(); got != value {
		t.Errorf("Reveal() = %q, want %q", got, value)
	}
	if zero := (secret.Text{}); !zero.IsZero() || zero.Reveal() != "" || !secret.New("").IsZero() {
		t.Error("the zero Text and New(\"\") must hold no secret")
	}
}

func TestGenerate(t *testing.T) {
	got, err := secret.Generate(bytes.NewReader(bytes.Repeat([]byte{0xfb}, 32)), 32)
	if want := strings.Repeat("-_v7", 10) + "-_s"; err != nil || got.Reveal() != want {
		t.Errorf("Generate(32 bytes of 0xfb) = %q, %v, want %q", got.Reveal(), err, want)
	}
	if _, err := secret.Generate(bytes.NewReader(make([]byte, 31)), 32); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Generate from 31 bytes = %v, want ErrUnexpectedEOF", err)
	}
	broken := errors.New("no entropy")
	if _, err := secret.Generate(iotest.ErrReader(broken), 32); !errors.Is(err, broken) {
		t.Errorf("Generate from a broken source = %v, want %v", err, broken)
	}
	if _, err := secret.Generate(bytes.NewReader(make([]byte, 64)), 15); err == nil {
		t.Error("Generate(15 bytes) succeeded, want a refusal")
	}
}
