package bridges

import (
	"context"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Normal is what echoes are compared by.
func Normal(text string) string { return normal(text) }

// Carried is parts as they go out.
func Carried(parts []contract.Part, capabilities []contract.Capability) []contract.Part {
	return carried(parts, capabilities)
}

// Round carries everything that can be carried now, as a room does that was just started.
func (r *Room) Round(ctx context.Context, ws contract.WorkspaceID) error {
	_, err := r.newPump(ws).round(ctx, true)
	return err
}

// The bounds of loops.
const (
	EchoWindow = echoWindow
	MaxSigns   = maxSigns
	MaxRepeats = maxRepeats
	MaxHops    = maxHops
	Burst      = burst
	MaxDelay   = maxDelay
	Interval   = interval
)
