// A linked device based on the npm package baileys, which shares no code with neonize.
// Prints a line of JSON, marked with "@", for each event; exits after one message each way.

import makeWASocket, { DisconnectReason, useMultiFileAuthState, WA_CERT_DETAILS } from 'baileys'

const { EMULATOR_ROOT_KEY, EMULATOR_URL, SESSION_DIRECTORY, RECIPIENT, TEXT } = process.env

Buffer.from(EMULATOR_ROOT_KEY, 'hex').copy(WA_CERT_DETAILS.PUBLIC_KEY)

const tell = (event, details) => console.log('@' + JSON.stringify({ event, ...details }))
const ignore = () => {}
const silent = { level: 'silent', trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }
silent.child = () => silent

const { state, saveCreds } = await useMultiFileAuthState(SESSION_DIRECTORY)

function start() {
  const socket = makeWASocket({
    auth: state,
    waWebSocketUrl: EMULATOR_URL,
    logger: silent,
    shouldSyncHistoryMessage: () => false
  })
  socket.ev.on('creds.update', saveCreds)
  socket.ev.on('messages.update', updates => {
    for (const { key, update } of updates) tell('update', { id: key.id, status: update.status })
  })
  socket.ev.on('messages.upsert', ({ messages }) => {
    for (const { key, message } of messages) {
      if (!key.fromMe) tell('message', { id: key.id, text: message?.conversation })
    }
  })
  socket.ev.on('connection.update', async ({ qr, connection, lastDisconnect }) => {
    if (qr) tell('qr', { code: qr })
    if (connection === 'close') {
      const status = lastDisconnect?.error?.output?.statusCode
      tell('close', { status, reason: String(lastDisconnect?.error?.message) })
      if (status === DisconnectReason.restartRequired) start()
    }
    if (connection === 'open') {
      tell('open', { id: socket.user.id })
      const known = await socket.onWhatsApp(RECIPIENT, '19998887777')
      tell('known', { numbers: known.filter(each => each.exists).map(each => each.jid) })
      const sent = await socket.sendMessage(`${RECIPIENT}@s.whatsapp.net`, { text: TEXT })
      tell('sent', { id: sent.key.id })
    }
  })
}

start()
