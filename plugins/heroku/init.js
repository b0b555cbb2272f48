// A plugin of the Heroku CLI: with it, plain "heroku" talks to the Stead platform
// that "stead login" chose, as "stead heroku" does. STEAD_OFF=1 leaves the CLI
// as it is, for people who also use Heroku.
'use strict'
const {spawn} = require('node:child_process')
const {createInterface} = require('node:readline')

// The endpoint is this program, which serves until its standard input ends:
// when the CLI does, however it does.
function endpoint() {
  const child = spawn(process.env.STEAD_PROGRAM || 'stead', ['heroku-endpoint'], {stdio: ['pipe', 'pipe', 'inherit']})
  child.unref()
  child.stdin.unref?.()
  return new Promise((resolve, reject) => {
    child.on('error', () => reject(new Error('the program "stead" is not installed; STEAD_OFF=1 uses Heroku instead')))
    child.on('exit', () => reject(new Error('stead heroku-endpoint ended; STEAD_OFF=1 uses Heroku instead')))
    createInterface({input: child.stdout}).once('line', line => {
      child.removeAllListeners('exit')
      child.stdout.unref?.()
      resolve(JSON.parse(line))
    })
  })
}

module.exports = async function () {
  // Under "stead heroku" everything is set already.
  if (process.env.STEAD_OFF || process.env.STEAD_ENDPOINT) return
  const env = await endpoint()
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'HEROKU_HEADERS', 'HEROKU_CLOUD']) delete process.env[name]
  if (process.env.NODE_OPTIONS) env.STEAD_NODE_OPTIONS = process.env.NODE_OPTIONS
  if (/^(auth:)?login$/.test(process.argv[2] || '')) delete env.HEROKU_API_KEY // with one, the CLI does not log in
  Object.assign(process.env, env)
  require(env.STEAD_GUARD)
}
