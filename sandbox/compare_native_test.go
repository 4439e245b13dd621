package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// nativeContenders are the same connector as ordinary Go, in a process of its own: timed
// by itself, and called by gRPC.
func (w *webhook) nativeContenders(tb testing.TB) []contender {
	tb.Helper()
	p := w.startProcess(tb)
	return []contender{
		{name: "go-plugin: process and gRPC, host calls too", call: p.method("receive")},
		{name: "go-plugin: process and gRPC, host calls inside", call: p.method("receive_inside")},
		{name: "native Go, host functions called directly", call: p.method("receive_inside"), many: p.many},
	}
}

// process is the connector behind go-plugin. See [compareService].
type process struct {
	conn  *grpc.ClientConn
	input []byte
}

func (w *webhook) startProcess(tb testing.TB) *process {
	tb.Helper()
	const cookie = "PATCHBAY_COMPARE"
	hosted := &hostedPlugin{functions: w.functions}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: cookie, MagicCookieValue: "1"},
		Plugins:          goplugin.PluginSet{"connector": hosted},
		Cmd:              exec.Command(buildService(tb)),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	tb.Cleanup(func() {
		client.Kill()
		hosted.serving.Wait()
	})
	rpc, err := client.Client()
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := rpc.Dispense("connector")
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{conn: raw.(*grpc.ClientConn), input: w.input}
	hello, err := json.Marshal(map[string]any{"Host": hosted.id, "Body": w.world.body, "KV": w.world.kv})
	if err != nil {
		tb.Fatal(err)
	}
	mustCall(tb, p.call, "attach", hello)
	return p
}

// buildService compiles the connector with one file more, which serves it.
func buildService(tb testing.TB) string {
	tb.Helper()
	builds.Lock()
	defer builds.Unlock()
	dir, err := filepath.Abs(receivePlugin)
	if err != nil {
		tb.Fatal(err)
	}
	service, err := filepath.Abs(compareService)
	if err != nil {
		tb.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, "compare_serve.go"): service}})
	if err != nil {
		tb.Fatal(err)
	}
	file, out := filepath.Join(builds.dir, "overlay.json"), filepath.Join(builds.dir, "service")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", file, "-o", out, ".")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build in %s: %v\n%s", dir, err, said)
	}
	return out
}

// call is a call of the service, which has as long as a plugin has.
func (p *process) call(method string, input []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sdkTimeout)
	defer cancel()
	var out wrapperspb.BytesValue
	err := p.conn.Invoke(ctx, "/connector/"+method, wrapperspb.Bytes(input), &out)
	return out.Value, err
}

// method is a guest whose one export is that method.
func (p *process) method(name string) guest {
	return func(_ string, input []byte) ([]byte, error) { return p.call(name, input) }
}

// many has the process call itself.
func (p *process) many(calls int) (took time.Duration, err error) {
	ask, err := json.Marshal(map[string]any{"Calls": calls, "Input": p.input})
	if err != nil {
		return 0, err
	}
	answer, err := p.call("receive_many", ask)
	if err != nil {
		return 0, err
	}
	return took, json.Unmarshal(answer, &took)
}

// hostedPlugin answers the process's host calls, by gRPC as well.
type hostedPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
	functions map[string]HostFunc
	id        uint32
	serving   sync.WaitGroup
}

func (h *hostedPlugin) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is the client")
}

func (h *hostedPlugin) GRPCClient(_ context.Context, broker *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	h.id = broker.NextId()
	service := &grpc.ServiceDesc{ServiceName: "host"}
	for name, f := range h.functions {
		service.Methods = append(service.Methods, overGRPC(name, f))
	}
	h.serving.Go(func() {
		broker.AcceptAndServe(h.id, func(o []grpc.ServerOption) *grpc.Server {
			s := grpc.NewServer(o...)
			s.RegisterService(service, nil)
			return s
		})
	})
	return conn, nil
}

func overGRPC(name string, f HostFunc) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var args wrapperspb.BytesValue
		if err := decode(&args); err != nil {
			return nil, err
		}
		result, err := f(ctx, args.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return wrapperspb.Bytes(result), nil
	}}
}
