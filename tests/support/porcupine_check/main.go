// Says whether a history of one register is linearizable, by porcupine: JSON on standard input, one word on standard
// output (ok, illegal, unknown).
//
//	[{"client": 0, "write": true, "value": 1, "call": 0, "return": 5}, ...]
//
// Times are whole nanoseconds of one clock; a return of -1 means that nobody knows whether it has taken effect.
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
	var read []operation
	if err := json.NewDecoder(os.Stdin).Decode(&read); err != nil {
		fmt.Fprintln(os.Stderr, "porcupine:", err)
		os.Exit(2)
	}
	history := make([]porcupine.Operation, 0, len(read))
	for _, each := range read {
		returned := each.Return
		if returned < 0 {
			returned = math.MaxInt64
		}
		history = append(history, porcupine.Operation{
			ClientId: each.Client, Input: input{each.Write, each.Value}, Call: each.Call, Output: each.Value, Return: returned,
		})
	}
	switch porcupine.CheckOperationsTimeout(register, history, 60*time.Second) {
	case porcupine.Ok:
		fmt.Println("ok")
	case porcupine.Illegal:
		fmt.Println("illegal")
	default:
		fmt.Println("unknown")
	}
}
