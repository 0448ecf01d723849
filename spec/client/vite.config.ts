// Bundles each program of src/ for Node; packages stay outside.
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    ssr: true,
    outDir: 'build',
    emptyOutDir: false,
    target: 'node20',
    rollupOptions: {
      input: {
        official_client: 'src/official_client.ts',
        types_client: 'src/types_client.ts',
        views_client: 'src/views_client.ts',
        chat_page: 'src/chat_page.ts',
        v1_clients: 'src/v1_clients.ts',
      },
      output: { entryFileNames: '[name].mjs', format: 'es' },
    },
  },
});
