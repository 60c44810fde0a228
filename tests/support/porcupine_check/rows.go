package main

import (
	"fmt"
	"strconv"

	"github.com/anishathalye/porcupine"
)

// rowOperation is one call of tests/cluster/java/Registers.java on one row: a value and a counter beside it.
type rowOperation struct {
	Client   int    `json:"client"`
	Key      string `json:"key"`
	Kind     string `json:"kind"` // read, write, cas, increment
	Value    string `json:"value"`
	Expected string `json:"expected"`
	Call     int64  `json:"call"`
	Return   int64  `json:"return"`
	Seen     string `json:"seen"`
	Number   int64  `json:"number"`
	OK       bool   `json:"ok"`
}

type row struct {
	value  string
	number int64
}

// Rows are independent of each other; what nobody had an answer to may have been done at any later moment, or never.
var rows = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, each := range history {
			key := each.Input.(rowOperation).Key
			byKey[key] = append(byKey[key], each)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() interface{} { return row{} },
	Step: func(state, in, _ interface{}) (bool, interface{}) {
		before, asked := state.(row), in.(rowOperation)
		known := asked.Return >= 0
		switch asked.Kind {
		case "read":
			return asked.Seen == before.value && asked.Number == before.number, before
		case "write":
			return true, row{asked.Value, before.number}
		case "cas":
			matches := before.value == asked.Expected
			if known && matches != asked.OK {
				return false, before
			}
			if matches {
				return true, row{asked.Value, before.number}
			}
			return true, before
		case "increment":
			more, err := strconv.ParseInt(asked.Value, 10, 64)
			if err != nil {
				panic(err)
			}
			after := row{before.value, before.number + more}
			return !known || after.number == asked.Number, after
		}
		panic(fmt.Sprintf("an operation of kind %q", asked.Kind))
	},
	Equal: func(one, other interface{}) bool { return one == other },
}
