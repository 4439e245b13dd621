package identity

import (
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Role is what somebody is trusted with.
type Role string

// The roles.
const (
	// Operator runs the host and may do everything on it.
	Operator Role = "operator"
	// Reviewer decides about plugins and reads the audit log.
	Reviewer Role = "reviewer"
	// WorkspaceAdmin sets one workspace up.
	WorkspaceAdmin Role = "workspace-admin"
	// WorkspaceMember works in one workspace.
	WorkspaceMember Role = "workspace-member"
	// WorkspaceReader looks on in one workspace.
	WorkspaceReader Role = "workspace-reader"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{Operator, Reviewer, WorkspaceAdmin, WorkspaceMember, WorkspaceReader}
}

func (r Role) known() bool { return slices.Contains(Roles(), r) }

// ofWorkspace tells whether the role is one in a single workspace.
func (r Role) ofWorkspace() bool { return strings.HasPrefix(string(r), "workspace-") }

func roleNames() string {
	names := make([]string, len(Roles()))
	for i, r := range Roles() {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// Permission is one kind of thing to do.
type Permission string

// The permissions. Who has which stands in the table below.
const (
	// WorkspaceCreate is for new workspaces, and for listing all of them.
	WorkspaceCreate Permission = "workspace.create"
	// WorkspaceLimit is for saying how much of the host a workspace may use.
	WorkspaceLimit Permission = "workspace.limit"
	// WorkspaceRead is for looking at a workspace.
	WorkspaceRead Permission = "workspace.read"
	// HostMaintain is for retention, backups and examinations of the host's data.
	HostMaintain Permission = "host.maintain"
	// TokenIssue is for issuing and revoking tokens of a workspace.
	TokenIssue Permission = "token.issue"
	// TokenIssueAny is for issuing and revoking every token.
	TokenIssueAny Permission = "token.issue_any"
	// PluginRead is for looking at plugins; they belong to the host.
	PluginRead Permission = "plugin.read"
	// PluginReview is for approving and revoking plugins.
	PluginReview Permission = "plugin.review"
	// PluginEnable is for enabling a plugin in a workspace.
	PluginEnable Permission = "plugin.enable"
	// ConnectionRead is for looking at connections and bridges.
	ConnectionRead Permission = "connection.read"
	// ConnectionWrite is for making, changing, checking and removing connections and bridges.
	ConnectionWrite Permission = "connection.write"
	// AppManage is for apps, their secrets, and what waits at them.
	AppManage Permission = "app.manage"
	// SubscriberRead is for looking at subscribers, and SubscriberWrite for making, changing,
	// testing and removing them: they get every event of the workspace.
	SubscriberRead  Permission = "subscriber.read"
	SubscriberWrite Permission = "subscriber.write"
	// SecretWrite is for setup steps with secrets filled in, and for rotating secrets.
	SecretWrite Permission = "secret.write"
	// PrivateTargets is for letting a connection reach private addresses.
	PrivateTargets Permission = "private_targets.write"
	// MessageRead is for conversations, messages, events, commands and attachments.
	MessageRead Permission = "message.read"
	// MessageSend is for sending, reporting, uploading, retrying and cancelling.
	MessageSend Permission = "message.send"
	// DeliveryRead is for deliveries without their bodies.
	DeliveryRead Permission = "delivery.read"
	// DeliveryReplay is for the raw bodies of deliveries, and for replaying them.
	DeliveryReplay Permission = "delivery.replay"
	// RecordingRead is for what runs recorded: what people wrote, and what the plugin asked.
	RecordingRead Permission = "recording.read"
	// NoticeRead is for the notices about a workspace, and NoticeReadAny for all of them.
	NoticeRead    Permission = "notice.read"
	NoticeReadAny Permission = "notice.read_any"
	// AuditRead is for the audit log.
	AuditRead Permission = "audit.read"
)

// scope says where a permission holds.
type scope int

const (
	// inWorkspace holds for one workspace: a role of a workspace has it in its own alone.
	inWorkspace scope = iota
	// onHost holds for the host: which workspace is asked about does not matter.
	onHost
)

// table says who may do what, and is all there is to say: what is not here is denied.
var table = map[Permission]struct {
	scope scope
	roles []Role
}{
	WorkspaceCreate: {onHost, []Role{Operator}},
	WorkspaceLimit:  {onHost, []Role{Operator}},
	HostMaintain:    {onHost, []Role{Operator}},
	TokenIssueAny:   {onHost, []Role{Operator}},
	PrivateTargets:  {onHost, []Role{Operator}},
	AuditRead:       {onHost, []Role{Operator, Reviewer}},
	NoticeReadAny:   {onHost, []Role{Operator}},
	AppManage:       {onHost, []Role{Operator}},
	PluginReview:    {onHost, []Role{Operator, Reviewer}},
	PluginRead:      {onHost, []Role{Operator, Reviewer, WorkspaceAdmin, WorkspaceMember, WorkspaceReader}},

	TokenIssue:      {inWorkspace, []Role{Operator, WorkspaceAdmin}},
	PluginEnable:    {inWorkspace, []Role{Operator, WorkspaceAdmin}},
	ConnectionWrite: {inWorkspace, []Role{Operator, WorkspaceAdmin}},
	SecretWrite:     {inWorkspace, []Role{Operator, WorkspaceAdmin}},
	SubscriberWrite: {inWorkspace, []Role{Operator, WorkspaceAdmin}},
	SubscriberRead:  {inWorkspace, []Role{Operator, WorkspaceAdmin, WorkspaceMember, WorkspaceReader}},
	DeliveryReplay:  {inWorkspace, []Role{Operator, WorkspaceAdmin}},
	NoticeRead:      {inWorkspace, []Role{Operator, WorkspaceAdmin}},
	RecordingRead:   {inWorkspace, []Role{Operator, Reviewer, WorkspaceAdmin}},
	MessageSend:     {inWorkspace, []Role{Operator, WorkspaceAdmin, WorkspaceMember}},
	MessageRead:     {inWorkspace, []Role{Operator, WorkspaceAdmin, WorkspaceMember, WorkspaceReader}},
	WorkspaceRead:   {inWorkspace, []Role{Operator, WorkspaceAdmin, WorkspaceMember, WorkspaceReader}},
	ConnectionRead:  {inWorkspace, []Role{Operator, WorkspaceAdmin, WorkspaceMember, WorkspaceReader}},
	DeliveryRead:    {inWorkspace, []Role{Operator, WorkspaceAdmin, WorkspaceMember, WorkspaceReader}},
}

// Permissions lists every permission, sorted.
func Permissions() []Permission {
	all := make([]Permission, 0, len(table))
	for p := range table {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// Can tells whether the principal may do a thing in a workspace. For permissions that
// hold for the host, ws is ignored. In the host's own workspace only operators may do
// anything. Whoever answers for a workspace that somebody has no
// role in says that it does not exist.
func (p Principal) Can(permission Permission, ws contract.WorkspaceID) bool {
	entry := table[permission] // of an unknown permission: no roles
	if !slices.Contains(entry.roles, p.Role) {
		return false
	}
	if entry.scope == inWorkspace && ws == domain.HostWorkspace {
		return p.Role == Operator // apps and what came to them are nobody else's
	}
	return entry.scope == onHost || !p.Role.ofWorkspace() || p.Workspace == ws && ws != ""
}

// MayIssue tells whether the principal may issue a token with this grant: nobody hands
// out more than they have.
func (p Principal) MayIssue(g Grant) bool {
	return p.Can(TokenIssueAny, "") || g.Role.ofWorkspace() && p.Can(TokenIssue, g.Workspace)
}
