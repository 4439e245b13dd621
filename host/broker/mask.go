package broker

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// maskedBytes is the least length of a secret that is masked: a shorter one would be found
// in a great many places where it means nothing.
const maskedBytes = 6

// mask takes out of a recording the secrets that the platform itself sent, as one does that
// puts a token into each webhook. They are known by this: the plugin had them compared, and
// they were right. Of a JWT that the plugin had verified it is the signature. Each becomes as many x wherever it stands, so that the recording runs
// again as it ran.
func mask(r *recording.Recording) {
	for _, value := range compared(r) {
		hide := func(b []byte) []byte {
			if b == nil {
				return nil
			}
			return bytes.ReplaceAll(b, value, bytes.Repeat([]byte("x"), len(value)))
		}
		r.Input, r.Outcome.Output = hide(r.Input), hide(r.Outcome.Output)
		for i := range r.Calls {
			c := &r.Calls[i]
			c.Arguments, c.Answer = hide(c.Arguments), hide(c.Answer)
		}
		for i := range r.Logs {
			r.Logs[i].Text = string(hide([]byte(r.Logs[i].Text)))
		}
	}
}

// compared returns the values that a plugin had compared with a secret and that were equal
// to it: as they are, and as they stand in JSON.
func compared(r *recording.Recording) (values [][]byte) {
	for _, c := range r.Calls {
		if signature := verified(c); len(signature) >= maskedBytes {
			values = append(values, []byte(signature))
		}
		var asked contract.SecretEqual
		var told contract.Verdict
		if c.Function != string(contract.HostSecretEqual) || json.Unmarshal(c.Arguments, &asked) != nil ||
			json.Unmarshal(c.Answer, &told) != nil || !told.OK || len(asked.Value) < maskedBytes {
			continue
		}
		values = append(values, []byte(asked.Value))
		if quoted, err := json.Marshal(asked.Value); err == nil && strings.Contains(string(quoted), `\`) {
			values = append(values, quoted[1:len(quoted)-1])
		}
	}
	return values
}

// verified returns the signature of a JWT that the plugin had verified and that is genuine: with
// it, whoever reads the recording could send what the platform sent for as long as it is good.
func verified(c recording.Call) string {
	var asked contract.JWTVerify
	var told contract.JWTVerifyResult
	if c.Function != string(contract.HostJWTVerify) || contract.Unmarshal(c.Arguments, &asked) != nil ||
		contract.Unmarshal(c.Answer, &told) != nil || told.Error != nil {
		return ""
	}
	return asked.Token[strings.LastIndexByte(asked.Token, '.')+1:]
}
