package bridges_test

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// age removes everything that retention removes after so many days.
func (w *world) age(days int) {
	w.Helper()
	plan, err := w.store.PlanSweep(w.ctx, domain.Retention{PayloadDays: 1, EventDays: 1, DedupeDays: 1})
	w.ok(err)
	plan.Now = w.clock().AddDate(0, 0, days)
	for _, room := range domain.SweepRooms() {
		for next, more := "", true; more; more = next != "" {
			swept, err := w.store.Sweep(w.ctx, plan, room, next, 100)
			w.ok(err)
			next = swept.Next
		}
	}
}

// What is removed for its age takes with it what the bridge knew of it; the links stay, so
// that a conversation goes on under its name, and nobody else gets it.
func TestLinksOutliveTheirMessages(t *testing.T) {
	w := newWorld(t)
	first, second := w.bridge(shop, desk), w.bridge(phone, desk)
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.deliver()
	w.carry()
	w.age(10)
	if left := w.outbound(desk); len(left) > 0 {
		t.Fatalf("of the desk are left %q", left)
	}
	if problems := w.store.Check(t.Context()); len(problems) > 0 {
		t.Errorf("after retention: %q", problems)
	}
	w.writes(phone, chat, contract.RoleCustomer, "from the phone")
	w.carry()
	derived := w.links(second.ID)[0].Agents
	if derived == chat || w.links(first.ID)[0].Agents != chat {
		t.Fatalf("the phone's conversation is called %q at the desk", derived)
	}
	w.want(w.deliver(), "desk/"+string(derived)+" customer: from the phone")
	w.writes(desk, chat, contract.RoleAgent, "to the shop, much later")
	w.carry()
	w.want(w.deliver(), "shop/chat-1 agent: to the shop, much later")
}
