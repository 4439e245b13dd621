package manifest

import (
	"maps"
	"testing"
)

// Settings with their defaults are the same whether the other scope is cut away before or left
// out on the way.
func TestDefaultsOfOneScope(t *testing.T) {
	m := &Manifest{Settings: map[string]Setting{
		"host":  {Type: TypeURL, Default: "https://a.example", Scope: ScopeApp},
		"ids":   {Type: TypeList, Scope: ScopeApp, Default: "1"},
		"name":  {Type: TypeString, Default: "Bot"},
		"limit": {Type: TypeInteger, Default: "5", Scope: ScopeConnection},
	}}
	values := map[string]string{"host": "https://b.example", "ids": "", "name": "", "limit": "", "stranger": "x"}
	for scope, want := range map[Scope]map[string]string{
		ScopeApp:        {"host": "https://b.example", "ids": ""},
		ScopeConnection: {"name": "", "limit": "5"},
		"":              {"name": "", "limit": "5"},
	} {
		got := m.WithDefaultsIn(scope, values)
		if !maps.Equal(got, want) || !maps.Equal(got, m.In(scope).WithDefaults(values)) {
			t.Errorf("scope %q: %v, want %v", scope, got, want)
		}
	}
}
