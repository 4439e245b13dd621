package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/egress"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// noticeTimeout is how long an exchange waits for its notice to be kept.
const noticeTimeout = 5 * time.Second

// onBreaker counts a destination that is left alone, or not any more. The first time it
// tells the operator, and the tenant if it is about a connection of theirs.
func (h *host) onBreaker(c egress.BreakerChange) {
	h.metrics.Breaker(c.Plugin, c.Open, c.Again)
	h.log.Warn("a destination changed", "plugin", c.Plugin, "sender", c.Sender, "destination", c.Destination, "left_alone", c.Open, "for", c.For)
	if !c.Open || c.Again {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noticeTimeout)
	defer cancel()
	notice := domain.Notice{At: time.Now(), Kind: domain.NoticeBreakerOpened, Target: c.Destination,
		Detail: fmt.Sprintf("%s failed again and again for %s; what it is to be sent waits, and it is tried again every %v", c.Destination, c.Plugin, c.For)}
	if strings.HasPrefix(c.Sender, "con_") {
		if connection, err := h.store.Connection(ctx, contract.ConnectionID(c.Sender)); err == nil {
			notice.Workspace, notice.Connection = connection.Workspace, connection.ID
		}
	}
	if err := h.store.AddNotice(ctx, notice); err != nil {
		h.log.Error("a notice was not kept", "kind", notice.Kind, "target", notice.Target, "error", err)
	}
}
