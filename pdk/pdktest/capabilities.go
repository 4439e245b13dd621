package pdktest

import (
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// promised is what a connection with the case's settings carries: as a sample of
// setup_connection or check_health says, or else the manifest.
func (s *suite) promised() []contract.Capability {
	for _, c := range s.Commands {
		if out := s.telling(c); out != nil {
			return out.Capabilities
		}
	}
	return s.manifest.Capabilities
}

// telling carries a sample out that may tell what a connection carries; nil if it does not.
func (s *suite) telling(c Command) *contract.CommandOutput {
	switch c.Input.(type) {
	default:
		return nil
	case *contract.SetupConnectionInput, *contract.CheckHealthInput:
	}
	if c.App {
		return nil
	}
	quiet := &suite{Case: s.Case, manifest: s.manifest}
	o := quiet.carryOut(c.Name, s.world(c.Prepare), c)
	if out := o.command(); o.err == nil && !o.panics && out != nil && out.Capabilities != nil {
		return out
	}
	return nil
}

// capabilities compares what connections say that they carry with the manifest, by which they
// are chosen: a feature of one is a feature of the other. How well it is carried may depend on
// the settings.
func (s *suite) capabilities() {
	for _, c := range s.Commands {
		out := s.telling(c)
		if out == nil {
			continue
		}
		for _, feature := range features(s.manifest.Capabilities) {
			if !slices.Contains(features(out.Capabilities), feature) {
				s.fail(c.Name, fmt.Sprintf("its capabilities leave out %q, which the manifest lists", feature))
			}
		}
		told := features(out.Capabilities)
		for i, feature := range told {
			if slices.Contains(told[:i], feature) {
				s.fail(c.Name, fmt.Sprintf("its capabilities name %q twice", feature))
			}
			if !slices.Contains(features(s.manifest.Capabilities), feature) {
				s.fail(c.Name, fmt.Sprintf("its capabilities name %q, which the manifest does not list", feature))
			}
		}
	}
}

func features(all []contract.Capability) (names []string) {
	for _, c := range all {
		names = append(names, c.Feature)
	}
	return names
}
