'use strict'

const http = require('node:http')
const ms = require('ms')

const version = '1'
const port = Number(process.env.PORT || 8080)

const server = http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  if (req.url === '/healthz') return res.end('ok\n')
  res.end(`Hello from Node.js ${process.version} (version ${version}), up for ${ms(Math.round(process.uptime()) * 1000, { long: true })}\n`)
})

server.listen(port, () => console.log(`listening on port ${port}, version ${version}`))

// On SIGTERM: no new connections; what was begun is answered.
process.on('SIGTERM', () => {
  console.log('stopping')
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
