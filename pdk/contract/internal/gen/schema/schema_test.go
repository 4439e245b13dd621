package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestCheckedInSchemasAreCurrent(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("pdk/contract/%s is stale (%v): run go generate ./pdk/contract", name, err)
		}
	}
	kept, _ := filepath.Glob("schema/*.json")
	for _, name := range kept {
		if files[filepath.ToSlash(name)] == nil {
			t.Errorf("pdk/contract/%s belongs to no document: remove it", name)
		}
	}
}

// An exported field without a doc comment would be a field without a description.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		var schema struct {
			Definitions map[string]struct {
				Description string
				Properties  map[string]struct{ Description string }
			} `json:"$defs"`
		}
		if err := json.Unmarshal(data, &schema); err != nil {
			t.Fatal(err)
		}
		for definition, of := range schema.Definitions {
			if of.Description == "" {
				t.Errorf("%s: type %s has no doc comment", name, definition)
			}
			for field, property := range of.Properties {
				if property.Description == "" {
					t.Errorf("%s: field %s of %s has no doc comment", name, field, definition)
				}
			}
		}
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"Event": "event", "KVGet": "kv_get", "HTTPCachedGet": "http_cached_get", "AuthorizeURLInput": "authorize_url_input", "HMACSignResult": "hmac_sign_result",
	} {
		if got := snake(name); got != want {
			t.Errorf("snake(%q) = %q, want %q", name, got, want)
		}
	}
}
