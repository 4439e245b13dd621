package main

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask asks a mint for the pair that follows.
func ask(t *testing.T, m *mint, refresh string) (access, next string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"account": "con_1", "refresh_token": refresh})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	m.ServeHTTP(answer, httptest.NewRequest("POST", "/token", strings.NewReader(string(body))))
	var pair struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &pair); err != nil {
		t.Fatal(err)
	}
	return pair.Access, pair.Refresh
}

func TestAMintForgivesALostAnswerAndNotALostToken(t *testing.T) {
	m := &mint{}
	_, first := ask(t, m, "")
	ask(t, m, first) // its answer was lost
	access, second := ask(t, m, first)
	if !m.admit("Bearer " + access) {
		t.Error("a good token was refused")
	}
	ask(t, m, second)
	if wrong := m.told(); len(wrong) > 0 {
		t.Errorf("blamed: %q", wrong)
	}
	ask(t, m, first)
	ask(t, m, "")
	if wrong := m.told(); len(wrong) != 2 {
		t.Errorf("a host that came with an older token, and one that began anew: %q", wrong)
	}
}

func TestAMintNoticesATokenThatHasExpired(t *testing.T) {
	m := &mint{}
	m.admit("Bearer access-con_1-1-1000000000000") // in 2001
	m.admit("{{credential:access_token}}")
	if wrong := m.told(); len(wrong) != 2 || !strings.Contains(wrong[0], "expired") {
		t.Errorf("blamed: %q", wrong)
	}
}
