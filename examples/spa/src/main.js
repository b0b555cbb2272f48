const version = '1'

document.querySelector('#app').textContent = `Hello from ${location.pathname} (version ${version})`
