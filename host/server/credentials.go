package server

import (
	"time"

	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// newTokens makes the keeper of token sets. It asks for manifests only once the plugins are
// open.
func (h *host) newTokens(vault *credentials.Vault) *credentials.Tokens {
	return credentials.NewTokens(credentials.TokenOptions{
		Vault: vault, Store: h.store, Manifest: h.manifestOf,
		Cooldown: h.cfg.Credentials.Cooldown, MaxCooldown: h.cfg.Credentials.MaxCooldown, GiveUpAfter: h.cfg.Credentials.GiveUpAfter,
		Now: time.Now, Log: h.log,
	})
}

// manifestOf returns the manifest of the version of a plugin that runs now.
func (h *host) manifestOf(plugin string) (*manifest.Manifest, error) {
	version, release, err := h.registry.Acquire(plugin)
	if err != nil {
		return nil, err
	}
	defer release()
	m := version.Manifest
	return &m, nil
}
