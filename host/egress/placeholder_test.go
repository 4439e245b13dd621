package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const token = `s3cr&t "+/é`

var vault = known(map[string]string{"token": token, "credential:access_token": "acc-ess", "other": "not for this rule"})

func TestPlaceholdersAreFilled(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	ascii := known(map[string]string{"token": "s3cr&t+/=", "credential:access_token": "acc-ess"})
	r := contract.HTTPRequest{Method: "POST", URL: p.URL + "/?a={{secret:token}}&b=%7B&c",
		Headers: []contract.Header{{Name: "Authorization", Value: "Bearer {{credential:access_token}}"}}}
	wantStatus(t, c.Send(context.Background(), p.policy(), ascii, r), 200)
	got, _ := p.last(t)
	if got.RequestURI != "/?a=s3cr%26t%2B%2F%3D&b=%7B&c" || got.Header.Get("Authorization") != "Bearer acc-ess" {
		t.Errorf("the platform saw %s, Authorization %q", got.RequestURI, got.Header.Get("Authorization"))
	}

	r = contract.HTTPRequest{Method: "POST", URL: p.URL, Body: "{\n \"text\": \"\\u007b{secret:token}} \\\" x\", \"token\": \"{{secret:token}}\" }"}
	wantStatus(t, c.Send(context.Background(), p.policy(), vault, r), 200)
	if _, body := p.last(t); body != "{\n \"text\": \"\\u007b{secret:token}} \\\" x\", \"token\": \"s3cr&t \\\"+/é\" }" {
		t.Errorf("the platform saw the body %s", body)
	}
}

func TestPlaceholdersThatMayNotBeFilledStopTheRequest(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	header := func(name, value string) contract.HTTPRequest {
		return contract.HTTPRequest{Method: "POST", URL: p.URL, Headers: []contract.Header{{Name: name, Value: value}}}
	}
	body := func(text string) contract.HTTPRequest {
		return contract.HTTPRequest{Method: "POST", URL: p.URL, Body: text}
	}
	to := func(rest string) contract.HTTPRequest { return contract.HTTPRequest{Method: "POST", URL: p.URL + rest} }
	twice := header("A", "{{secret:token}}")
	twice.Body = `["{{secret:token}}"]`
	for name, r := range map[string]contract.HTTPRequest{
		"a secret for another rule":         header("A", "{{secret:other}}"),
		"an unknown secret":                 header("A", "{{secret:nobody}}"),
		"a credential called as a secret":   header("A", "{{secret:access_token}}"),
		"a secret called as a credential":   header("A", "{{credential:token}}"),
		"spaces inside":                     header("A", "{{ secret:token }}"),
		"no name":                           header("A", "{{secret:}}"),
		"a name with a colon":               header("A", "{{secret:credential:access_token}}"),
		"no end":                            header("A", "{{secret:token"),
		"one bracket at the end":            header("A", "{{secret:token}"),
		"the name of a header":              header("{{secret:token}}", "a"),
		"the path":                          to("/{{secret:token}}"),
		"the path, encoded":                 to("/%7B%7Bsecret:token%7D%7D"),
		"the name of a parameter":           to("/?{{secret:token}}=1"),
		"a parameter without a name":        to("/?{{secret:token}}"),
		"a part of a parameter":             to("/?q=x{{secret:token}}"),
		"an encoded parameter":              to("/?q=%7B%7Bsecret%3Atoken%7D%7D"),
		"a part of a string":                body(`{"text": "hello {{secret:token}}"}`),
		"spaces inside, in a body":          body(`{"token": "{{ secret:token }}"}`),
		"two in a string":                   body(`{"text": "{{secret:token}}{{credential:access_token}}"}`),
		"twice in the body":                 body(`{"text": "{{secret:token}}", "token": "{{secret:token}}"}`),
		"twice in the request":              twice,
		"a body that is not JSON":           body(`token={{secret:token}}`),
		"a body with a placeholder outside": body(`{"token": {{secret:token}}}`),
		"two JSON texts":                    body(`{"token": "{{secret:token}}"}{}`),
	} {
		t.Run(name, func(t *testing.T) {
			got := c.Send(context.Background(), p.policy(), vault, r)
			wantFault(t, got, contract.HostDenied, true)
			if strings.Contains(got.Error.Message, token) || strings.Contains(got.Error.Message, "acc-ess") {
				t.Errorf("the message shows a secret: %s", got.Error.Message)
			}
		})
	}
	if n := p.reached(); n != 0 {
		t.Errorf("%d requests reached the platform, want none", n)
	}
}

func TestASecretWithALineBreakIsNotSentInAHeader(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	evil := known(map[string]string{"token": "a\r\nHost: evil.test"})
	got := c.Send(context.Background(), p.policy(), evil, contract.HTTPRequest{Method: "POST", URL: p.URL,
		Headers: []contract.Header{{Name: "A", Value: "{{secret:token}}"}}})
	if wantFault(t, got, contract.HostInvalid, true); strings.Contains(got.Error.Message, "evil") || p.reached() != 0 {
		t.Errorf("message %q, %d requests", got.Error.Message, p.reached())
	}
}

func TestAVaultThatFailsIsNotADenial(t *testing.T) {
	p := newPlatform(t, nil)
	var seen Exchange
	c := newClient(t, p, Options{Observe: func(e Exchange) { seen = e }})
	cause := errors.New("disk on fire")
	broken := func(context.Context, string) (secret.Text, error) { return secret.Text{}, cause }
	r := contract.HTTPRequest{Method: "POST", URL: p.URL, Headers: []contract.Header{{Name: "A", Value: "{{secret:token}}"}}}
	got := c.Send(context.Background(), p.policy(), broken, r)
	wantFault(t, got, contract.HostUnavailable, true)
	if !errors.Is(seen.Err, cause) || strings.Contains(got.Error.Message, "fire") {
		t.Errorf("observed %v and told the plugin %q, want the cause for the operator alone", seen.Err, got.Error.Message)
	}
}

func TestSecretsOfEveryMatchingRuleMayBeFilled(t *testing.T) {
	rules := []domain.EgressRule{{Secrets: []string{"a"}}, {Secrets: []string{"b"}}}
	f := newFiller(context.Background(), known(map[string]string{"a": "1", "b": "2"}), rules)
	got, err := f.text("{{secret:a}}{{secret:b}}", url.QueryEscape)
	if err != nil || got != "12" {
		t.Errorf("text = %q, %v, want 12", got, err)
	}
}

func TestWhoRevealsAValueMaySayWhyItIsNotToBeHad(t *testing.T) {
	p := newPlatform(t, nil)
	var seen Exchange
	c := newClient(t, p, Options{Observe: func(e Exchange) { seen = e }})
	held := &contract.HostError{Code: contract.HostUnavailable, Message: "the token is being renewed", Certain: true, RetryAfterMillis: 1000}
	reveal := func(context.Context, string) (secret.Text, error) { return secret.Text{}, fmt.Errorf("lend: %w", held) }
	r := contract.HTTPRequest{Method: "GET", URL: p.URL, Headers: []contract.Header{{Name: "Authorization", Value: "Bearer {{credential:access_token}}"}}}
	if got := c.Send(context.Background(), p.policy(), reveal, r); got.Error == nil || *got.Error != *held {
		t.Errorf("Send = %+v, want the very error", got.Error)
	}
	if "http://"+seen.Host != p.URL && "https://"+seen.Host != p.URL || seen.Wait != time.Second || !strings.Contains(fmt.Sprint(seen.Err), held.Message) {
		t.Errorf("observed host %q, wait %v, why %v, want %s, 1s and what the plugin was told", seen.Host, seen.Wait, seen.Err, p.URL)
	}
	_, err := c.Download(context.Background(), p.policy(), reveal, p.URL, r.Headers, 10, io.Discard)
	if got := (*contract.HostError)(nil); !errors.As(err, &got) || got.Code != held.Code || !got.Certain || got.RetryAfterMillis != 1000 {
		t.Errorf("Download = %v, want the very error", err)
	}
	if p.reached() != 0 {
		t.Error("a request went out")
	}
}
