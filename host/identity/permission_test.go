package identity_test

import (
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// matrix says, for every permission, who has it: one letter for operator, reviewer, admin,
// member and reader, in the order of identity.Roles; a dot for those who have not.
var matrix = map[identity.Permission]string{
	identity.WorkspaceCreate: "O....",
	identity.WorkspaceLimit:  "O....",
	identity.HostMaintain:    "O....",
	identity.TokenIssueAny:   "O....",
	identity.PrivateTargets:  "O....",
	identity.AppManage:       "O....",
	identity.AuditRead:       "OR...",
	identity.NoticeReadAny:   "O....",
	identity.NoticeRead:      "O.A..",
	identity.RecordingRead:   "ORA..",
	identity.PluginReview:    "OR...",
	identity.PluginRead:      "ORAMr",
	identity.TokenIssue:      "O.A..",
	identity.PluginEnable:    "O.A..",
	identity.ConnectionWrite: "O.A..",
	identity.SecretWrite:     "O.A..",
	identity.SubscriberWrite: "O.A..",
	identity.SubscriberRead:  "O.AMr",
	identity.DeliveryReplay:  "O.A..",
	identity.MessageSend:     "O.AM.",
	identity.MessageRead:     "O.AMr",
	identity.WorkspaceRead:   "O.AMr",
	identity.ConnectionRead:  "O.AMr",
	identity.DeliveryRead:    "O.AMr",
}

// onHost holds the permissions for which no workspace matters.
var onHost = map[identity.Permission]bool{
	identity.WorkspaceCreate: true, identity.WorkspaceLimit: true, identity.TokenIssueAny: true, identity.PrivateTargets: true,
	identity.AuditRead: true, identity.PluginReview: true, identity.PluginRead: true, identity.NoticeReadAny: true, identity.HostMaintain: true, identity.AppManage: true,
}

func TestCan(t *testing.T) {
	if len(identity.Permissions()) != len(matrix) {
		t.Fatalf("there are %d permissions, and the matrix has %d", len(identity.Permissions()), len(matrix))
	}
	for _, permission := range identity.Permissions() {
		for i, role := range identity.Roles() {
			p := identity.Principal{Subject: "x", Role: role}
			tenant := i >= 2
			if tenant {
				p.Workspace = "wsp_1"
			}
			has := matrix[permission][i] != '.'
			for ws, inside := range map[contract.WorkspaceID]bool{"wsp_1": true, "wsp_2": !tenant, "": !tenant} {
				want := has && (inside || onHost[permission])
				if got := p.Can(permission, ws); got != want {
					t.Errorf("%s of wsp_1 can %s in %q: %v, want %v", role, permission, ws, got, want)
				}
			}
		}
	}
}

func TestOnlyOperatorsSeeTheHostsOwnWorkspace(t *testing.T) {
	for _, permission := range identity.Permissions() {
		if onHost[permission] {
			continue
		}
		for _, role := range identity.Roles() {
			p := identity.Principal{Subject: "x", Role: role}
			if role != identity.Operator && role != identity.Reviewer {
				p.Workspace = domain.HostWorkspace // whoever issued such a token
			}
			if got, want := p.Can(permission, domain.HostWorkspace), role == identity.Operator; got != want {
				t.Errorf("%s can %s there: %v, want %v", role, permission, got, want)
			}
		}
	}
}

func TestNobodyCanDoAnything(t *testing.T) {
	for _, p := range []identity.Principal{{}, {Role: "root"}, {Role: "workspace-admin"}, {Role: "Operator"}} {
		for _, permission := range identity.Permissions() {
			if p.Can(permission, p.Workspace) && !onHost[permission] {
				t.Errorf("%+v can %s", p, permission)
			}
		}
	}
	if (identity.Principal{Role: identity.Operator}).Can("disk.format", "") {
		t.Error("an operator can do what there is no permission for")
	}
}

func TestMayIssue(t *testing.T) {
	admin := identity.Principal{Role: identity.WorkspaceAdmin, Workspace: "wsp_1"}
	for _, tt := range []struct {
		name string
		by   identity.Principal
		role identity.Role
		ws   contract.WorkspaceID
		want bool
	}{
		{"an operator, an operator", identity.Principal{Role: identity.Operator}, identity.Operator, "", true},
		{"an operator, an admin", identity.Principal{Role: identity.Operator}, identity.WorkspaceAdmin, "wsp_1", true},
		{"an admin, an admin of their workspace", admin, identity.WorkspaceAdmin, "wsp_1", true},
		{"an admin, a reader of their workspace", admin, identity.WorkspaceReader, "wsp_1", true},
		{"an admin, a reader of another", admin, identity.WorkspaceReader, "wsp_2", false},
		{"an admin, an operator", admin, identity.Operator, "", false},
		{"an admin, an operator said to be theirs", admin, identity.Operator, "wsp_1", false},
		{"an admin, a reviewer said to be theirs", admin, identity.Reviewer, "wsp_1", false},
		{"a member, a reader", identity.Principal{Role: identity.WorkspaceMember, Workspace: "wsp_1"}, identity.WorkspaceReader, "wsp_1", false},
		{"a reviewer, a reviewer", identity.Principal{Role: identity.Reviewer}, identity.Reviewer, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := identity.Grant{Subject: "x", Role: tt.role, Workspace: tt.ws, TTL: time.Hour}
			if got := tt.by.MayIssue(g); got != tt.want {
				t.Errorf("MayIssue(%+v) = %v, want %v", g, got, tt.want)
			}
		})
	}
}
