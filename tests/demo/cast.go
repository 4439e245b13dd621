package main

import (
	"errors"
	"fmt"
	"slices"

	elma "github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	tandem "github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	uchatland "github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
	uspacyland "github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// cast is the platforms that play.
type cast struct {
	elma365  *elma.Platform
	uspacy   *uspacyland.Platform
	intandem *tandem.Platform
	uchat    *uchatland.Platform
	closers  []func() error
}

// assemble starts every platform.
func assemble() (*cast, error) {
	c := new(cast)
	var errs [4]error
	if c.elma365, errs[0] = elma.Start(elma.Options{}); errs[0] == nil {
		c.closers = append(c.closers, c.elma365.Close)
	}
	auth := uspacyland.AuthOptions{ClientID: uspacyClientID, ClientSecret: uspacyClientSecret}
	if c.uspacy, errs[1] = uspacyland.Start(uspacyland.Options{Portals: []string{uspacyPortal}, Auth: auth}); errs[1] == nil {
		c.closers = append(c.closers, c.uspacy.Close)
	}
	if c.intandem, errs[2] = tandem.Start(tandem.Options{}); errs[2] == nil {
		c.closers = append(c.closers, c.intandem.Close)
	}
	keys := uchatland.Options{Workspace: uchatWorkspace, PartnerKey: uchatPartnerKey, FlowKey: uchatFlowKey}
	if c.uchat, errs[3] = uchatland.Start(keys); errs[3] == nil {
		c.closers = append(c.closers, c.uchat.Close)
	}
	if err := errors.Join(errs[:]...); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *cast) close() {
	for _, end := range c.closers {
		_ = end() // a demo that ends needs no farewell
	}
}

func (c *cast) authorities() []stage.Authority {
	return []stage.Authority{c.elma365, c.uspacy, c.intandem, c.uchat}
}

// resolve leads the platforms' names to them.
func (c *cast) resolve() string { return stage.Resolve(c.uspacy, c.intandem, c.uchat) }

// scenes are those of every act, in order.
func (c *cast) scenes(p *play) []scene {
	first := &elma365{play: p, platform: c.elma365}
	last := &uchat{play: p, platform: c.uchat}
	scenes := slices.Concat(first.scenes(),
		(&uspacy{play: p, platform: c.uspacy}).scenes(),
		(&intandem{play: p, platform: c.intandem}).scenes(),
		last.scenes(),
		(&bridge{play: p, elma: first, uchat: last}).scenes())
	if p.once {
		scenes = append(scenes, scene{"The tenant leaves ELMA365", first.leave})
	}
	return scenes
}

// wellBehaved tells whether the connectors kept to the platforms' protocols.
func (c *cast) wellBehaved() error {
	for name, broken := range map[string][]string{"ELMA365": c.elma365.Violations(), "Uspacy": c.uspacy.Violations(),
		"inTandem": c.intandem.Violations(), "UChat": c.uchat.Violations()} {
		if len(broken) > 0 {
			return fmt.Errorf("the connector broke the protocol of %s: %q", name, broken)
		}
	}
	return nil
}

// addresses prints where the platforms are.
func (c *cast) addresses(out *transcript) {
	out.plain("ELMA365 emulator %s", c.elma365.URL())
	for name, p := range map[string]stage.Platform{"Uspacy": c.uspacy, "inTandem": c.intandem, "UChat": c.uchat} {
		out.plain("%-8s emulator %s, as %v", name, p.Addr(), p.Names())
	}
}
