package main

import (
	"runtime/debug"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type versionCommand struct{}

// version says what this binary was made from.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Contract string `json:"contract"`
}

func (c *versionCommand) Run(s *session) error {
	v := readVersion()
	return s.show(v, func() {
		printFields(s.stdout, field{"patchbay", v.Version}, field{"revision", v.Revision},
			field{"modified", yes(v.Modified)}, field{"go", v.Go}, field{"contract", v.Contract})
	})
}

func readVersion() version {
	v := version{Version: "(unknown)", Contract: contract.Version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version, v.Go = info.Main.Version, info.GoVersion
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}
