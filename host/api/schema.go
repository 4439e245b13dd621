package api

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// vocabulary lists the words that members of the contract's types may hold, where only
// these make sense: the types carry them as constants, which huma does not see.
var vocabulary = map[string]map[string][]string{
	"Part": {"kind": {string(contract.PartText), string(contract.PartMedia), string(contract.PartChoice), string(contract.PartCard), string(contract.PartCarousel),
		string(contract.PartLocation), string(contract.PartContact), string(contract.PartRaw)}},
	"Author": {"role": {string(contract.RoleCustomer), string(contract.RoleAgent), string(contract.RoleBot), string(contract.RoleSystem)}},
	"Media":  {"kind": {string(contract.MediaImage), string(contract.MediaAudio), string(contract.MediaVoice), string(contract.MediaVideo), string(contract.MediaFile)}},
	"Choice": {"style": {string(contract.ChoiceButtons), string(contract.ChoiceQuickReplies), string(contract.ChoiceList)}},
}

// finishSchemas adds the vocabulary, and opens every schema that only answers have: a host
// may tell more tomorrow, and a client must not refuse it.
func (s *Server) finishSchemas() {
	document := s.api.OpenAPI()
	schemas := document.Components.Schemas.Map()
	for name, members := range vocabulary {
		for member, words := range members {
			schemas[name].Properties[member].Enum = mapped(words, func(w string) any { return w })
		}
		schemas[name].PrecomputeMessages()
	}
	taken := map[string]bool{}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Post, item.Put, item.Patch} {
			if op != nil && op.RequestBody != nil {
				takenBy(op.RequestBody, schemas, taken)
			}
		}
	}
	for name, schema := range schemas {
		if !taken[name] && schema.AdditionalProperties == false {
			schema.AdditionalProperties = nil
		}
	}
}

// takenBy marks the schemas that a request body refers to.
func takenBy(body *huma.RequestBody, schemas map[string]*huma.Schema, taken map[string]bool) {
	for _, media := range body.Content {
		mark(media.Schema, schemas, taken)
	}
}

func mark(s *huma.Schema, schemas map[string]*huma.Schema, taken map[string]bool) {
	if s == nil {
		return
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok && !taken[name] {
		taken[name] = true
		mark(schemas[name], schemas, taken)
	}
	mark(s.Items, schemas, taken)
	if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
		mark(more, schemas, taken)
	}
	for _, property := range s.Properties {
		mark(property, schemas, taken)
	}
}
