module hbeacon.dev/benchmarks/hbload

go 1.21
