'use strict'
// Loaded into the Heroku CLI before anything else. It sends what the CLI asks
// of heroku.com, which some of its commands have built in, to the endpoint that
// "stead heroku" opened on this machine, and lets it connect to no other host.
// The token is not here: the endpoint adds it.
const http = require('node:http')
const https = require('node:https')
const module_ = require('node:module')
const net = require('node:net')
const os = require('node:os')
const tls = require('node:tls')
const {urlToHttpOptions} = require('node:url')

const endpoint = new URL(process.env.STEAD_ENDPOINT)
const rendezvous = Number(process.env.STEAD_RENDEZVOUS)

// What the CLI starts is held to the same, but for the user's own app under
// "heroku local", which may connect where it likes.
if (/^local(:|$)/.test(process.argv[2] || '')) {
  if (process.env.STEAD_NODE_OPTIONS) process.env.NODE_OPTIONS = process.env.STEAD_NODE_OPTIONS
  else delete process.env.NODE_OPTIONS
}

// A login keeps its secret in a folder that goes with this run.
if (process.env.STEAD_HOME) os.homedir = () => process.env.STEAD_HOME

const foreign = /(^|\.)(heroku|herokai|herokuspace|herokudev|herokuapp)\.com$/i
const here = host => /^(localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$/i.test(host)

function refusal(host) {
  const err = new Error(`stead heroku connects to no host but your platform's, and this command wants ${host}`)
  err.code = 'ESTEADREFUSED'
  return err
}

// options makes one object of the ways to call http.request.
function options(args) {
  const [first] = args
  const byURL = typeof first === 'string' || first instanceof URL
  let out = byURL ? urlToHttpOptions(new URL(first)) : {}
  const rest = byURL ? args.slice(1) : args
  const callback = typeof rest[rest.length - 1] === 'function' ? rest[rest.length - 1] : undefined
  if (rest[0] && typeof rest[0] === 'object') out = {...out, ...rest[0]}
  return [out, callback]
}

const plain = http.request

function wrap(original) {
  return function (...args) {
    const [o, callback] = options(args)
    const host = o.hostname || (o.host && String(o.host).replace(/:\d+$/, '')) || 'localhost'
    if (!foreign.test(host)) return original.apply(this, args)
    const to = {...o, agent: undefined, protocol: 'http:', host: endpoint.hostname, hostname: endpoint.hostname, port: endpoint.port,
      headers: {...o.headers, host: endpoint.host, 'stead-host': host}}
    return plain.call(http, to, callback)
  }
}

function get(request) {
  return function (...args) {
    const r = request.apply(this, args)
    r.end()
    return r
  }
}

http.request = wrap(http.request)
https.request = wrap(https.request)
http.get = get(http.request)
https.get = get(https.request)

const fetch_ = globalThis.fetch
globalThis.fetch = function (input, init) {
  const url = new URL(typeof input === 'string' || input instanceof URL ? input : input.url)
  if (!foreign.test(url.hostname)) return fetch_(input, init)
  const headers = new Headers(init && init.headers ? init.headers : input.headers)
  headers.set('stead-host', url.hostname)
  return fetch_(new URL(url.pathname + url.search, endpoint), {...init, headers})
}

// A one-off dyno is met over TLS; on this machine, it is met as it is.
const secure = tls.connect
tls.connect = function (...args) {
  const port = Number(typeof args[0] === 'object' ? args[0].port : args[0])
  if (port !== rendezvous) return secure.apply(this, args)
  return net.connect({host: '127.0.0.1', port})
}

// The last gate: whatever library it was, it connects on this machine or not.
const connect = net.Socket.prototype.connect
net.Socket.prototype.connect = function (...args) {
  let o = Array.isArray(args[0]) ? args[0][0] : args[0]
  if (typeof o !== 'object' || o === null) o = typeof o === 'string' && Number.isNaN(Number(o)) ? {path: o} : {port: o, host: typeof args[1] === 'string' ? args[1] : undefined}
  const host = o.host || 'localhost'
  if (o.path || here(host)) return connect.apply(this, args)
  process.nextTick(() => this.destroy(refusal(host)))
  return this
}

module_.syncBuiltinESMExports()
