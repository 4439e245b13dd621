package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// digest is the name of a plugin file.
func digest(t *testing.T, wasm []byte) string {
	t.Helper()
	p, err := pack.Open(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return p.Spec.Digest
}

func TestAPluginThatFailsLosesNoDelivery(t *testing.T) {
	s := approved(t, emulate(t, emulator.Options{}), built.faulty, "--receive.deadline", "300ms")
	s.connect(nil)
	for _, tt := range []struct{ name, body, code string }{
		{"it loops", "loop", "plugin_deadline"},
		{"it traps", "trap", "plugin_trap"},
		{"it answers garbage", "garbage", "plugin_bad_output"},
		{"it reports an error", "error", "plugin_error"},
		{"it answers an impossible status", "status", "plugin_bad_output"},
		{"it wants all the memory", "memory", "plugin_trap"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, text := s.post([]byte(tt.body), nil); status != 503 {
				t.Errorf("answered %d %s, want 503", status, text)
			}
			kept := s.deliveries(domain.DeliveryFailed)
			if len(kept) == 0 || kept[0].Code != tt.code {
				t.Errorf("the newest kept delivery is %+v, want code %s", kept, tt.code)
			}
		})
	}
	if status, text := s.post([]byte("fine"), nil); status != 200 || text != "fine" {
		t.Errorf("afterwards the plugin answers %d %s", status, text)
	}
}

// TestADeliveryIsReplayedOnceThePluginIsMended goes through what an operator does after a
// vendor shipped a broken version.
func TestADeliveryIsReplayedOnceThePluginIsMended(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	s.drop(built.faulty, "broken.wasm")
	s.approve(built.faulty)
	answer, err := s.channel.Reply(within(t), emulator.Reply{Chat: "chat-1", Text: "do not lose me"})
	if err != nil || answer.Status != 200 { // the faulty one answers 200 to whatever it does not know
		t.Fatalf("%d, %v", answer.Status, err)
	}
	if _, err := s.people.Reviewer.RevokePlugin(within(t), digest(t, built.faulty), "it loses replies"); err != nil {
		t.Fatal(err)
	}
	s.reply("chat-1", "nor me", 503)
	out, err := s.cli("delivery", "list", "--workspace", string(s.workspace.ID), "--state", "failed", "--json")
	if err != nil || !strings.Contains(out, "plugin_revoked") {
		t.Fatalf("%s %v", out, err)
	}
	failed := s.deliveries(domain.DeliveryFailed)
	if len(failed) != 1 {
		t.Fatalf("kept %+v", failed)
	}
	if out, err := s.cli("delivery", "replay", "--workspace", string(s.workspace.ID), string(failed[0].ID)); err == nil {
		t.Errorf("a replay without a plugin worked: %s", out)
	}
	s.approve(built.elma) // roll back
	if out, err := s.cli("delivery", "replay", "--workspace", string(s.workspace.ID), string(failed[0].ID)); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	s.await("the reply that was kept", stage.Said("nor me"))
}

func (s *scene) drop(wasm []byte, name string) {
	s.t.Helper()
	if err := s.folders.Drop(wasm, name); err != nil {
		s.t.Fatal(err)
	}
}

func TestABrokenFileIsRefusedAndTheRunningVersionStays(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	for name, wasm := range map[string][]byte{
		"text.wasm": []byte("this is no plugin"), "half.wasm": built.elma[:len(built.elma)/2], "empty.wasm": {},
		"bare.wasm": []byte("\x00asm\x01\x00\x00\x00"),
	} {
		s.drop(wasm, name)
		var reason string
		s.poll("the refusal of "+name, func() bool {
			known, err := s.people.Reviewer.Plugins(within(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range known.Refusals {
				if r.File == name {
					reason = r.Reason
				}
			}
			return reason != ""
		})
		if !strings.Contains(s.log.String(), name) {
			t.Errorf("the log does not mention %s", name)
		}
	}
	s.reply("chat-1", "still served", 200)
	s.await("the reply", stage.Said("still served"))
	if err := os.Remove(filepath.Join(s.folders.Plugins, "text.wasm")); err != nil {
		t.Fatal(err)
	}
	s.poll("the refusal to go with its file", func() bool {
		known, err := s.people.Reviewer.Plugins(within(t))
		if err != nil {
			t.Fatal(err)
		}
		return len(known.Refusals) == 3
	})
}

func TestANewVersionWaitsForAReviewer(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.drop(built.faulty, "new.wasm")
	var submitted domain.Plugin
	s.poll("the new version to be listed", func() bool {
		p, err := s.people.Reviewer.Plugin(within(t), digest(t, built.faulty))
		submitted = p
		return err == nil
	})
	if submitted.State != domain.PluginSubmitted || submitted.Active {
		t.Errorf("the new version is %v, active %v", submitted.State, submitted.Active)
	}
	s.arrived(s.send("chat-1", "the old one still runs"))
	if err := s.people.Tenant.EnablePlugin(within(t), s.workspace.ID, "nobody"); problemStatus(err) != 422 {
		t.Errorf("enabling a plugin that nobody approved: %v", err)
	}
	if _, err := s.people.Tenant.ApprovePlugin(within(t), submitted.Digest, client.Approval{All: true}); problemStatus(err) != 403 {
		t.Errorf("a tenant approving a plugin: %v, want a problem 403", err)
	}
}

func TestAGrantIsEnforced(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil)
	if _, err := s.people.Reviewer.ApprovePlugin(within(t), digest(t, built.elma), client.Approval{
		Egress: []string{"callback"}, Hosts: map[string][]string{"callback": {"*.elma365.eu"}}, Secrets: []string{"token", "outbound_token"},
		HostFunctions: []string{"delivery_body", "http_send", "kv_delete", "kv_get", "kv_put", "media_link", "secret_equal"}}); err != nil {
		t.Fatal(err)
	}
	id := s.send("chat-1", "hi")
	s.await("the message's failure", stage.Status(id, contract.MessageFailed))
	if got := s.posts(); len(got) != 0 {
		t.Errorf("the platform was posted %q", got)
	}
}

func TestAnAcknowledgedDeliverySurvivesKillMinusNine(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	for round := range 5 {
		text := strings.Repeat("I", round+1)
		s.reply("chat-1", text, 200)
		s.kill()
		s.inbox.Close()
		s.restart()
		s.listen("0")
		s.await("the acknowledged reply", stage.Said(text))
	}
	id := s.send("chat-1", "and out again")
	s.arrived(id)
	s.await("its delivery", stage.Status(id, contract.MessageDelivered))
}

func TestAnAcceptedCommandSurvivesKillMinusNine(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil, "--jobs.max_delay", "2s", "--jobs.base_delay", "2s")
	platform.Script(emulator.Step{Type: "message", Status: 500})
	id := s.send("chat-1", "send me all the same")
	s.kill()
	s.inbox.Close()
	s.restart()
	s.listen("0")
	s.arrived(id)
	s.await("its delivery", stage.Status(id, contract.MessageDelivered))
}

func TestAGracefulStopFinishesWhatIsUnderWay(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil)
	hold := make(chan struct{})
	platform.Script(emulator.Step{Type: "message", Hold: hold})
	id := s.send("chat-1", "in flight")
	s.arrived(id)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	close(hold)
	s.gone = true
	<-s.log.ended
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the host ended with %v", err)
	}
	s.inbox.Close()
	s.restart()
	s.listen("0")
	s.await("that it was sent", stage.Status(id, contract.MessageSent))
	if m := s.arrived(id); m.Posts != 1 {
		t.Errorf("the message was posted %d times", m.Posts)
	}
}

// mounted mounts a file system of the test's own, which takes root. The store's own tests
// play a full disk without.
func mounted(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting a file system takes root")
	}
	root := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", root).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no file system can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", root).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	return root
}

func TestAReadOnlyFolderIsRefusedAtStart(t *testing.T) {
	root := mounted(t, "ro")
	out, err := exec.Command(built.binary, "serve", "--data", filepath.Join(root, "data"), "--ingress", "127.0.0.1:0", "--management", "127.0.0.1:0").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "open the data folder") || !strings.Contains(string(out), "read-only file system") {
		t.Errorf("the host ended with %v:\n%s", err, out)
	}
}

func TestAFullDiskAcknowledgesNothing(t *testing.T) {
	root := mounted(t, "size=48m")
	s := setIn(t, emulate(t, emulator.Options{}), root, built.elma)
	s.arrived(s.send("chat-1", "hi"))
	filler, err := os.Create(filepath.Join(root, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil { // until the disk is full
		_, err = filler.Write(make([]byte, 64<<10))
	}
	if err := errors.Join(filler.Close()); err != nil {
		t.Fatal(err)
	}
	texts, refused := []string{}, ""
	for i := 0; refused == "" && i < 5000; i++ {
		text := strings.Repeat("fill the store ", 4000) + strings.Repeat("I", i)
		answer, err := s.channel.Reply(within(t), emulator.Reply{Chat: "chat-1", Text: text})
		switch {
		case err != nil:
			t.Fatal(err)
		case answer.Status == 200:
			texts = append(texts, text)
		case answer.Status == 503:
			refused = text
		default:
			t.Fatalf("a full disk is answered %d", answer.Status)
		}
	}
	if refused == "" {
		t.Fatal("the disk never filled up")
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	s.reply("chat-1", "there is room again", 200)
	s.await("the reply with room", stage.Said("there is room again"))
	events := s.inbox.Events()
	for _, text := range texts {
		found := false
		for _, e := range events {
			found = found || stage.Said(text)(e)
		}
		if !found {
			t.Errorf("an acknowledged reply of %d bytes is lost", len(text))
		}
	}
	for _, e := range events {
		if stage.Said(refused)(e) {
			t.Error("a refused reply is an event")
		}
	}
}

func TestAWrongConfigurationIsRefusedAtStart(t *testing.T) {
	cmd := exec.Command(built.binary, "serve", "--data", t.TempDir(), "--jobs.workers", "100000", "--ingress", "nowhere")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("the host ended with %v, want exit status 2", err)
	}
	for _, want := range []string{`jobs.workers is "100000"`, "1 to 1024", `ingress.listen is "nowhere"`} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr.String())
		}
	}
}

func TestOneFolderServesOneHost(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	cmd := exec.Command(built.binary, "serve", "--data", s.folders.Data, "--ingress", "127.0.0.1:0", "--management", "127.0.0.1:0")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "another process") {
		t.Errorf("a second host on the same folder: %v\n%s", err, out)
	}
}

func TestHealthMetricsAndTheDescriptionOfTheAPI(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	s.reply("chat-1", "hello", 200)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ok", "/openapi.json": `"openapi":"3.1`, "/.well-known/jwks.json": `"Ed25519"`,
		"/metrics": `patchbay_deliveries_total{outcome="accepted",plugin="elma365"}`,
	} {
		out, err := s.cli("api", "GET", path)
		if path == "/healthz" && err != nil || !strings.Contains(strings.ReplaceAll(out, " ", ""), want) {
			t.Errorf("%s says %.300s, %v; want %s", path, out, err, want)
		}
	}
}

func TestDevelopmentModeApprovesWhatIsDroppedInAndSaysSo(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	folders, err := stage.MakeFolders(t.TempDir(), platform)
	if err == nil {
		err = errors.Join(os.Symlink(built.cache, filepath.Join(folders.Data, "cache")), folders.Drop(built.elma, "elma365.wasm"))
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{host: serve(t, folders, "--mode", "development"), platform: platform}
	s.hire()
	plugin, err := s.people.AwaitPlugin(within(t), "elma365")
	if err != nil || plugin.State != domain.PluginApproved || !plugin.Active || plugin.Grant.GrantedBy != "policy:auto-approve" {
		t.Errorf("the plugin is %v, active %v, granted by %+v, %v", plugin.State, plugin.Active, plugin.Grant, err)
	}
	if !strings.Contains(s.log.String(), "policy auto-approve") {
		t.Error("the log does not say that nobody reviewed the plugin")
	}
}
