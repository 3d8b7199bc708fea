// What the node programs print: one JSON object a line.
const fs = require('fs')

const MASKED =
  'SELECT id, email, ssn, phone, birth_date, balance, preferences, tags, signature FROM shop.customers WHERE id <= '

function text(value) {
  if (value === null || value === undefined) return null
  if (Buffer.isBuffer(value)) return '\\x' + value.toString('hex')
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function print(what, found) {
  console.log(JSON.stringify({ what, ...found }))
}

// All that a client sees of an error, without what a driver adds of its own files.
function seen(error) {
  const { code, severity, message, detail, hint, position, schema, table, column, constraint, routine } = error
  const shown = { code, severity, message, detail, hint, position, schema, table, column, constraint, routine }
  return { error: { ...shown, schema_name: error.schema_name, constraint_name: error.constraint_name } }
}

async function refused(what, work) {
  try {
    await work()
    print(what, { sqlstate: 'none' })
  } catch (error) {
    print(what, { sqlstate: error.code || String(error) })
  }
}

const statements = () => fs.readFileSync(process.env.SAME_SQL, 'utf8').trimEnd().split('\n')
const customers = (rows) => rows.map((row) => (Array.isArray(row) ? row : Object.values(row)).map(text))

function main(scenes) {
  scenes[process.argv[2]]().then(
    () => print('done'),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
}

module.exports = { MASKED, text, print, seen, refused, statements, customers, main }
