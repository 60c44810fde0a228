// Says whether a history is linearizable, by porcupine: JSON on standard input, one word on standard output (ok,
// illegal, unknown). Without an argument it is the history of one register:
//
//	[{"client": 0, "write": true, "value": 1, "call": 0, "return": 5}, ...]
//
// With the argument `rows` it is one of rows (rowOperation). Times are whole nanoseconds of one clock; a return of -1
// means that nobody knows whether it has taken effect.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

type operation struct {
	Client int   `json:"client"`
	Write  bool  `json:"write"`
	Value  int   `json:"value"`
	Call   int64 `json:"call"`
	Return int64 `json:"return"`
}

type input struct {
	write bool
	value int
}

var register = porcupine.Model{
	Init: func() interface{} { return 0 },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		asked := in.(input)
		if asked.write {
			return true, asked.value
		}
		return out.(int) == state.(int), state
	},
	Equal: func(one, other interface{}) bool { return one == other },
}

func main() {
	model, history := register, []porcupine.Operation{}
	if len(os.Args) > 1 && os.Args[1] == "rows" {
		model = rows
		var read []rowOperation
		decode(&read)
		for _, each := range read {
			history = append(history, operationOf(each.Client, each, nil, each.Call, each.Return))
		}
	} else {
		var read []operation
		decode(&read)
		for _, each := range read {
			history = append(history, operationOf(each.Client, input{each.Write, each.Value}, each.Value, each.Call, each.Return))
		}
	}
	switch porcupine.CheckOperationsTimeout(model, history, 60*time.Second) {
	case porcupine.Ok:
		fmt.Println("ok")
	case porcupine.Illegal:
		fmt.Println("illegal")
	default:
		fmt.Println("unknown")
	}
}

func decode(into interface{}) {
	if err := json.NewDecoder(os.Stdin).Decode(into); err != nil {
		fmt.Fprintln(os.Stderr, "porcupine:", err)
		os.Exit(2)
	}
}

func operationOf(client int, in, out interface{}, call, returned int64) porcupine.Operation {
	if returned < 0 {
		returned = math.MaxInt64
	}
	return porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: returned}
}
